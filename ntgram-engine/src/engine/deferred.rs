//! Adam on a table where most rows have no gradient in a step. The same as [`adam::step`] on all rows, but a row is moved
//! only when it is needed.
//!
//! A row without gradient still moves, by its moments. In `k` steps they fall to `β_1^k m` and `β_2^k v`. Steps are counted
//! from where all rows were up to date; a row that last moved with step `o` has missed the steps `t = o+1 ..= n`. By then a
//! parameter should have moved by
//!
//! ```text
//! -m Σ_t w_t / (√v c_t + eps)    w_t = lr β_1^(t-o) / (1 - β_1^t)
//!                                c_t = β_2^(-o/2) C_t,  C_t = β_2^(t/2) / √(1 - β_2^t)
//! ```
//!
//! (In the bias corrections `1 - β^t` the steps count from the start of the training.) `C_t` hardly changes, so that the sum
//! is a short power series. With `C` about the middle of the `C_t`:
//!
//! ```text
//! δ_t = 1 - C_t / C,  u = √v β_2^(-o/2) C + eps,  ρ = 1 - eps / u
//! √v c_t + eps = u (1 - ρ δ_t)
//! Σ_t w_t / (√v c_t + eps) = 1/u Σ_j ρ^j S_j,  S_j = Σ_t w_t δ_t^j
//! ```
//!
//! The `S_j` are the same for all rows that last moved with step `o`. So a row takes one root and one division, however many
//! steps it missed.
//!
//! What it gains: with a pass over the whole table in every step, a low-rank model's step took 1.12 times as long at N = 100,
//! d = 10, B = 1024; 1.4 times at N = 300; 4 times at N = 300, d = 64, B = 128.

use super::adam::{self, BETA_1, BETA_2, EPS, Factors};
use super::buffer::Buffer;
use super::simd::{Lanes, vector_fn};
use std::ops::Range;

/// Most steps between two times at which all rows are up to date.
const MOST_STEPS: usize = u8::MAX as usize;

/// How many times smaller `C_t` may get between them. Then `|δ| < 0.06`: the series leaves out less than `δ^6 = 5e-8` of a move.
const FALL: f64 = 1.12;

/// Highest power in the series.
const DEGREE: usize = 5;

/// Its terms, with zeros to a whole vector.
const TERMS: usize = (DEGREE + 1).next_multiple_of(8);

/// The moves that rows without gradient miss, for all steps since all rows were up to date.
///
/// Its life: [`Deferred::new`]; after each step [`Deferred::add_step`]; when it [is full](Deferred::is_full), [`catch_up`] on
/// every table, then a new one.
#[derive(Debug)]
pub(super) struct Deferred {
    lr: f64,
    /// Steps of the training before that.
    start: u64,
    /// Steps after which `C_t` has fallen too far.
    most: usize,
    /// `C`.
    middle: f64,
    /// By step `o` of a row's last move.
    missed: Vec<Missed>,
    /// `β_1^k` and `β_2^k`.
    decay: Vec<[f32; 2]>,
}

/// What rows that last moved with a certain step have missed since.
#[derive(Debug, Clone, Copy)]
struct Missed {
    /// `S_j`.
    sums: [f32; TERMS],
    /// `β_2^(-o/2) C`.
    middle: f32,
}

/// `C_t` of step `start + k`, but for a factor that is the same for all `k`: its power counts from `start`.
fn scale(start: u64, k: usize) -> f64 {
    BETA_2.powf(k as f64 / 2.0) / adam::corrections(start + k as u64)[1].sqrt()
}

impl Deferred {
    /// Nothing is deferred after `start` steps of the training.
    pub(super) fn new(lr: f64, start: u64) -> Self {
        let first = scale(start, 1);
        let most = (2..=MOST_STEPS).take_while(|&k| first <= scale(start, k) * FALL).last().unwrap_or(1);
        let decay = (0..=MOST_STEPS).map(|k| [BETA_1, BETA_2].map(|beta| beta.powi(k as i32) as f32)).collect();
        let middle = (first * scale(start, most)).sqrt();
        let mut new = Self { lr, start, most, middle, missed: Vec::with_capacity(most + 1), decay };
        new.open();
        new
    }

    /// For rows that move with the step that was added last.
    fn open(&mut self) {
        let o = self.missed.len() as f64;
        self.missed.push(Missed { sums: [0.0; TERMS], middle: (self.middle * BETA_2.powf(o / -2.0)) as f32 });
    }

    /// Number of steps since all rows were up to date.
    fn now(&self) -> u8 {
        (self.missed.len() - 1) as u8
    }

    /// Whether all rows must be brought up to date now.
    pub(super) fn is_full(&self) -> bool {
        self.missed.len() > self.most
    }

    /// After each step.
    pub(super) fn add_step(&mut self) {
        let k = self.missed.len();
        let mut term = self.lr / adam::corrections(self.start + k as u64)[0];
        let delta = 1.0 - scale(self.start, k) / self.middle;
        let mut terms = [0.0; TERMS];
        for to in &mut terms[..=DEGREE] {
            *to = term as f32;
            term *= delta;
        }
        for (missed, [beta_1, _]) in self.missed.iter_mut().rev().zip(&self.decay[1..]) {
            missed.sums.iter_mut().zip(&terms).for_each(|(sum, term)| *sum += beta_1 * term);
        }
        self.open();
    }

    /// What the moments of a row that last moved with step `since` are to be multiplied by.
    fn decay(&self, since: u8) -> [f32; 2] {
        self.decay[(self.now() - since) as usize]
    }
}

/// A table of parameters with Adam's moments, (rows, d) each. Where steps are deferred, a row is as it was when it last moved.
#[derive(Debug)]
pub(super) struct AdamTable {
    pub(super) d: usize,
    pub(super) p: Buffer,
    pub(super) m: Buffer,
    pub(super) v: Buffer,
    /// The step with which each row last moved.
    since: Vec<u8>,
}

/// Calls `$function` on ranges that together are `0..$d`, with vectors that are no longer than needed.
macro_rules! in_vectors {
    ($isa:ident, $d:expr, $function:ident, $arguments:expr) => {
        let (d, mut start) = ($d, 0);
        while start < d {
            if d - start > $isa::Half::LANES {
                let end = d.min(start + $isa::Wide::LANES);
                $function::<$isa::Wide>(start..end, $arguments);
                start = end;
            } else {
                $function::<$isa::Half>(start..d, $arguments);
                start = d;
            }
        }
    };
}

impl AdamTable {
    pub(super) fn new(rows: usize, d: usize) -> Self {
        let [p, m, v] = [rows * d; 3].map(Buffer::new);
        Self { d, p, m, v, since: vec![0; rows] }
    }

    /// What the moments of row `row` are to be multiplied by to be up to date.
    pub(super) fn decay(&self, row: usize, deferred: &Deferred) -> [f32; 2] {
        deferred.decay(self.since[row])
    }
}

vector_fn! {
    /// The parameters of the rows `which`, up to date, into `to (…, stride)`.
    pub(super) fn read<'a, I>(table: &'a AdamTable, which: &'a [u32], to: &'a mut [f32], stride: usize, deferred: &'a Deferred) -> () {
        let AdamTable { p, m, v, since, d } = table;
        let (p, m, v) = (&p[..], &m[..], &v[..]);
        for (to, &row) in to.chunks_exact_mut(stride).zip(which) {
            let at = row as usize * d;
            let (p, m, v, to) = (&p[at..at + d], &m[at..at + d], &v[at..at + d], &mut to[..*d]);
            in_vectors!(I, *d, read_vector, (p, m, v, to, &deferred.missed[since[row as usize] as usize]));
        }
    }
}

#[inline(always)]
fn read_vector<V: Lanes>(range: Range<usize>, (p, m, v, to, missed): (&[f32], &[f32], &[f32], &mut [f32], &Missed)) {
    let [p, m, v] = [V::load_some(&p[range.clone()]), V::load_some(&m[range.clone()]), V::load_some(&v[range.clone()])];
    moved(p, m, v, missed).store_some(&mut to[range]);
}

/// Parameters with what they have missed.
#[inline(always)]
fn moved<V: Lanes>(p: V, m: V, v: V, missed: &Missed) -> V {
    let (one, eps) = (V::splat(1.0), V::splat(EPS as f32));
    let over_u = one.div(v.sqrt().fma(V::splat(missed.middle), eps));
    let rho = one.minus_product(eps, over_u);
    let mut series = V::splat(missed.sums[DEGREE]);
    for &sum in missed.sums[..DEGREE].iter().rev() {
        series = series.fma(rho, V::splat(sum));
    }
    p.minus_product(m.mul(over_u), series)
}

vector_fn! {
    /// Adam's step on the rows `which`: from `p (…, stride)`, what [`read`] gave, with the gradients `g (…, stride)`.
    pub(super) fn step<'a, I>(
        table: &'a mut AdamTable,
        which: &'a [u32],
        p: &'a [f32],
        g: &'a [f32],
        stride: usize,
        deferred: &'a Deferred,
        factors: Factors,
    ) -> () {
        let d = table.d;
        let (to, m, v) = (&mut table.p[..], &mut table.m[..], &mut table.v[..]);
        for ((p, g), &row) in p.chunks_exact(stride).zip(g.chunks_exact(stride)).zip(which) {
            let at = row as usize * d;
            let (to, m, v) = (&mut to[at..at + d], &mut m[at..at + d], &mut v[at..at + d]);
            let since = &mut table.since[row as usize];
            in_vectors!(I, d, step_vector, (to, m, v, &p[..d], &g[..d], deferred.decay(*since), factors));
            *since = deferred.now() + 1;
        }
    }
}

#[inline(always)]
#[expect(clippy::type_complexity, reason = "operands and results of one formula")]
fn step_vector<V: Lanes>(
    range: Range<usize>,
    (to, m, v, p, g, [beta_1, beta_2], factors): (
        &mut [f32],
        &mut [f32],
        &mut [f32],
        &[f32],
        &[f32],
        [f32; 2],
        Factors,
    ),
) {
    let (old_m, old_v) = (V::load_some(&m[range.clone()]), V::load_some(&v[range.clone()]));
    let (old_m, old_v) = (old_m.mul(V::splat(beta_1)), old_v.mul(V::splat(beta_2)));
    let (old_p, g) = (V::load_some(&p[range.clone()]), V::load_some(&g[range.clone()]));
    let (new_p, new_m, new_v) = adam::step_vector(old_p, old_m, old_v, g, factors);
    new_p.store_some(&mut to[range.clone()]);
    new_m.store_some(&mut m[range.clone()]);
    new_v.store_some(&mut v[range]);
}

vector_fn! {
    /// Brings all rows up to date.
    pub(super) fn catch_up<'a, I>(table: &'a mut AdamTable, deferred: &'a Deferred) -> () {
        let d = table.d;
        let rows = table.p.chunks_exact_mut(d).zip(table.m.chunks_exact_mut(d)).zip(table.v.chunks_exact_mut(d));
        for (((p, m), v), since) in rows.zip(&mut table.since) {
            in_vectors!(I, d, catch_up_vector, (&mut *p, &mut *m, &mut *v, &deferred.missed[*since as usize], deferred.decay(*since)));
            *since = 0;
        }
    }
}

#[inline(always)]
fn catch_up_vector<V: Lanes>(
    range: Range<usize>,
    (p, m, v, missed, [beta_1, beta_2]): (&mut [f32], &mut [f32], &mut [f32], &Missed, [f32; 2]),
) {
    let (p, m, v) = (&mut p[range.clone()], &mut m[range.clone()], &mut v[range]);
    let (old_m, old_v) = (V::load_some(m), V::load_some(v));
    moved(V::load_some(p), old_m, old_v, missed).store_some(p);
    old_m.mul(V::splat(beta_1)).store_some(m);
    old_v.mul(V::splat(beta_2)).store_some(v);
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Detected, Isa, Job, dispatch};
    use super::*;

    /// One step of the table: read, step, and the moves of the others.
    struct Step<'a>(&'a mut AdamTable, &'a [u32], &'a [f32], &'a Deferred, Factors);

    impl Job for Step<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let Step(table, which, g, deferred, factors) = self;
            let mut p = vec![0.0; g.len()];
            read::<I>(table, which, &mut p, 24, deferred);
            step::<I>(table, which, &p, g, 24, deferred, factors);
        }
    }

    struct CatchUp<'a>(&'a mut AdamTable, &'a Deferred);

    impl Job for CatchUp<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            catch_up::<I>(self.0, self.1);
        }
    }

    /// Adam's definition, dense, in double precision.
    struct Plain {
        p: Vec<f64>,
        m: Vec<f64>,
        v: Vec<f64>,
    }

    impl Plain {
        fn step(&mut self, g: &[f64], lr: f64, t: u64) {
            for (i, &g) in g.iter().enumerate() {
                self.m[i] = BETA_1 * self.m[i] + (1.0 - BETA_1) * g;
                self.v[i] = BETA_2 * self.v[i] + (1.0 - BETA_2) * g * g;
                let root = (self.v[i] / (1.0 - BETA_2.powf(t as f64))).sqrt();
                self.p[i] -= lr / (1.0 - BETA_1.powf(t as f64)) * self.m[i] / (root + EPS);
            }
        }
    }

    /// The largest error of a parameter, over `scale` of it, after `steps` steps that follow `start` earlier ones. Rows have 19
    /// coordinates with gradients of any size; `occurs(row, step)`: whether a row has one.
    fn error(
        level: Detected,
        start: u64,
        steps: u64,
        occurs: impl Fn(u32, u64) -> bool,
        scale: impl Fn(f64) -> f64,
    ) -> f64 {
        let (d, n, lr) = (19, 7, 1e-2);
        let mut table = AdamTable::new(n, d);
        let mut plain = Plain { p: vec![0.0; n * d], m: vec![0.0; n * d], v: vec![0.0; n * d] };
        let mut deferred = Deferred::new(lr, start);
        for t in start + 1..=start + steps {
            let which: Vec<u32> = (0..n as u32).filter(|&row| occurs(row, t - start)).collect();
            let (mut g, mut dense) = (vec![0.0f32; which.len() * 24], vec![0.0; n * d]);
            for (g, &row) in g.chunks_exact_mut(24).zip(&which) {
                for (i, (g, dense)) in g.iter_mut().zip(&mut dense[row as usize * d..][..d]).enumerate() {
                    // From 1e-12 to 1e3, with changing sign.
                    let size = 10f64.powf(i as f64 * 15.0 / 18.0 - 12.0);
                    *g = (size * (1.7 * t as f64 + row as f64 + i as f64).sin()) as f32;
                    *dense = *g as f64;
                }
            }
            dispatch(level, Step(&mut table, &which, &g, &deferred, Factors::new(lr, t)));
            plain.step(&dense, lr, t);
            deferred.add_step();
            if deferred.is_full() {
                dispatch(level, CatchUp(&mut table, &deferred));
                deferred = Deferred::new(lr, t);
            }
        }
        dispatch(level, CatchUp(&mut table, &deferred));
        table.p.iter().zip(&plain.p).map(|(&got, &want)| (got as f64 - want).abs() / scale(want)).fold(0.0, f64::max)
    }

    #[test]
    fn rows_that_rest_move_as_if_they_did_not() {
        for level in Detected::all() {
            // Each row in one step only: all but that step's move is made up for, over up to 400 steps.
            for (start, at) in
                [(0, 1), (0, 5), (0, 40), (7, 3), (300, 1), (300, 90), (5000, 1), (5000, 200), (2_000_000, 2)]
            {
                let error = error(level, start, 400, |_, step| step == at, |p| p.abs() + 1e-12);
                assert!(error < 1e-6, "{level:?} {start} {at}: {error}");
            }
            // Rows that come now and then, one of them never.
            for start in [0, 1000] {
                let error = error(
                    level,
                    start,
                    1500,
                    |row, step| row > 0 && step % (3 * row as u64 * row as u64) == 1,
                    |p| p.abs().max(1e-2),
                );
                assert!(error < 1e-5, "{level:?} {start}: {error}");
            }
        }
    }

    #[test]
    fn rows_are_brought_up_to_date_often_at_first_and_then_seldom() {
        let lengths: Vec<_> = [0, 1, 10, 100, 1000, 100_000].map(|start| Deferred::new(1.0, start).most).into();
        assert!(lengths.is_sorted() && lengths[0] == 1 && lengths[5] > 200, "{lengths:?}");
    }
}
