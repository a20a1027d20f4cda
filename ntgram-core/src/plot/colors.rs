//! Colours of curves and bars, and the two colour maps of heatmaps.

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

pub(super) const WHITE: Rgb = (255, 255, 255);
/// Text.
pub(super) const INK: Rgb = (38, 38, 38);
/// Spines, ticks and zero lines.
pub(super) const AXIS: Rgb = (90, 90, 90);
/// Lines through an origin, and outlines of areas.
pub(super) const LINE: Rgb = (150, 150, 150);
/// Grid lines.
pub(super) const GRID: Rgb = (229, 229, 229);
/// Heatmap cells that are not a number.
pub(super) const MISSING: Rgb = (176, 176, 176);

/// A colour. The named ones can be told apart with the common kinds of colour blindness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Blue, the first default.
    Blue,
    /// Orange, the second default.
    Orange,
    /// Bluish green.
    Green,
    /// Reddish purple.
    Purple,
    /// Red.
    Red,
    /// Light blue.
    Sky,
    /// Brown.
    Brown,
    /// Middle grey.
    Grey,
    /// Black.
    Black,
    /// Red, green and blue, 0 to 255.
    Rgb(u8, u8, u8),
}

impl Color {
    /// What series get that name no colour, in this order.
    pub(super) const PALETTE: [Color; 8] =
        [Color::Blue, Color::Orange, Color::Green, Color::Purple, Color::Red, Color::Sky, Color::Brown, Color::Grey];

    /// Hue `k` of `count` at equal distances around the colour wheel, all equally light and strong (Oklab), from red on: for many things
    /// in a circle, or more than there are names. Neighbours are told apart less well than the named colours are.
    pub fn hue(k: usize, count: usize) -> Self {
        let turn = std::f64::consts::TAU * ((k % count.max(1)) as f64 / count.max(1) as f64 + 0.08);
        let (lightness, chroma) = (0.66, 0.145);
        let (a, b) = (chroma * turn.cos(), chroma * turn.sin());
        // Oklab to linear sRGB: Ottosson 2020, "A perceptual color space for image processing"
        let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
        let linear = [
            4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
            -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
            -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
        ];
        let [r, g, b] = linear.map(|v: f64| {
            let v = v.clamp(0.0, 1.0);
            let v = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
            (255.0 * v).round() as u8
        });
        Color::Rgb(r, g, b)
    }

    /// Mixed with white: `share` of it, from 0 (the colour itself) to 1.
    pub fn lighter(self, share: f64) -> Self {
        // what is no number is none of it
        let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
        let (r, g, b) = mix(self.rgb(), WHITE, share);
        Color::Rgb(r, g, b)
    }

    // Blue, orange, green, purple and sky are those of Okabe and Ito, "Color Universal Design" (2008).
    pub(super) fn rgb(self) -> Rgb {
        match self {
            Color::Blue => (0, 114, 178),
            Color::Orange => (230, 159, 0),
            Color::Green => (0, 158, 115),
            Color::Purple => (204, 121, 167),
            Color::Red => (204, 51, 17),
            Color::Sky => (86, 180, 233),
            Color::Brown => (122, 72, 32),
            Color::Grey => (128, 128, 128),
            Color::Black => (0, 0, 0),
            Color::Rgb(r, g, b) => (r, g, b),
        }
    }
}

/// Dark violet through red to cream; the anchors' lightness (Oklab) rises in equal steps, so that equal differences of
/// value look equal.
const SEQUENTIAL: [Rgb; 13] = [
    (3, 5, 26),
    (24, 15, 43),
    (50, 24, 60),
    (82, 30, 77),
    (119, 31, 89),
    (159, 25, 91),
    (198, 26, 81),
    (228, 55, 65),
    (241, 99, 70),
    (245, 139, 98),
    (246, 174, 135),
    (248, 206, 177),
    (250, 235, 221),
];

/// Blue, white, red, with white exactly in the middle.
const DIVERGING: [Rgb; 5] = [(22, 52, 178), (128, 150, 232), (255, 255, 255), (238, 128, 120), (178, 16, 34)];

/// The sequential colour of `t`; what is outside [0, 1] gets the colour of the nearer end.
pub(super) fn sequential(t: f64) -> Rgb {
    interpolate(&SEQUENTIAL, t)
}

/// The diverging colour of `t`: blue at 0, white at 1/2, red at 1.
pub(super) fn diverging(t: f64) -> Rgb {
    interpolate(&DIVERGING, t)
}

fn interpolate(anchors: &[Rgb], t: f64) -> Rgb {
    let last = anchors.len() - 1;
    let place = t.clamp(0.0, 1.0) * last as f64;
    let k = (place as usize).min(last - 1);
    mix(anchors[k], anchors[k + 1], place - k as f64)
}

/// `a` at `t = 0`, `b` at `t = 1`.
pub(super) fn mix(a: Rgb, b: Rgb, t: f64) -> Rgb {
    let channel = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
    (channel(a.0, b.0), channel(a.1, b.1), channel(a.2, b.2))
}

/// Whether dark text reads better on `color` than white text.
pub(super) fn is_light(color: Rgb) -> bool {
    luminance(color) > 0.36
}

/// Relative luminance, 0 (black) to 1 (white).
fn luminance((r, g, b): Rgb) -> f64 {
    let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_colours_get_lighter_from_end_to_end() {
        assert_eq!(sequential(0.0), SEQUENTIAL[0]);
        assert_eq!(sequential(1.0), SEQUENTIAL[12]);
        let lightness: Vec<f64> = (0..=100).map(|k| luminance(sequential(f64::from(k) / 100.0))).collect();
        assert!(lightness.windows(2).all(|w| w[1] > w[0]), "{lightness:?}");
    }

    #[test]
    fn diverging_colours_are_white_in_the_middle_and_blue_or_red_beside_it() {
        assert_eq!(diverging(0.5), WHITE);
        let (below, above) = (diverging(0.45), diverging(0.55));
        assert!(below.2 > below.0 && above.0 > above.2, "{below:?} {above:?}");
    }

    #[test]
    fn values_outside_get_the_end_colours() {
        assert_eq!(sequential(-3.0), sequential(0.0));
        assert_eq!(diverging(f64::INFINITY), diverging(1.0));
    }

    #[test]
    fn hues_differ_and_are_about_equally_light() {
        for count in 1..=20 {
            let hues: Vec<Rgb> = (0..count).map(|k| Color::hue(k, count).rgb()).collect();
            for (k, hue) in hues.iter().enumerate() {
                assert!(!hues[..k].contains(hue), "{k} of {count}");
                assert!((0.18..0.42).contains(&luminance(*hue)), "{hue:?}");
            }
        }
        assert_eq!(Color::hue(7, 5), Color::hue(2, 5));
        let (r, g, b) = Color::hue(0, 10).rgb();
        assert!(r > g && r > b, "{r} {g} {b}");
    }

    #[test]
    fn named_colours_differ() {
        for (k, a) in Color::PALETTE.iter().enumerate() {
            assert!(Color::PALETTE[..k].iter().all(|b| a.rgb() != b.rgb()), "{a:?}");
        }
    }
}
