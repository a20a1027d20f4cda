//! Hostile arguments.

use ntgram_core::prelude::*;

/// Sizes that nothing has.
pub const HUGE: [usize; 4] = [usize::MAX, usize::MAX / 2 + 1, 1 << 40, u32::MAX as usize + 1];

/// Numbers that are none, or at the ends of what there is.
pub const ODD: [f64; 10] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, 0.0, f64::MAX, f64::MIN, 5e-324, 1e39];

/// Texts that a font, a file or a page may stumble over.
pub fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        ["", " ", "🦀 数据 ΑΒΓ", "a\0b\u{7}\u{1b}[31m", "\u{202e}left", "<b>&\"'</b>", "two\nlines\r\n", "{}{0}%s"]
            .map(str::to_owned)
            .to_vec();
    texts.push("m".repeat(50_000));
    texts.push("word ".repeat(10_000));
    texts.push("e\u{301}\u{302}".repeat(5_000));
    texts
}

/// Paths that cannot be written; the process runs in a folder of its own.
pub fn unwritable() -> Vec<String> {
    std::fs::write("file", b"a file").unwrap();
    std::fs::create_dir_all("folder.png").unwrap();
    let paths = ["", "/", ".", "..", "folder.png", "file/below", "/dev/null", "/proc/nothing/x", "a\0b", "/dev/full"];
    let mut paths = paths.map(str::to_owned).to_vec();
    paths.push(format!("{}.x", "n".repeat(300)));
    paths
}

/// A law of a few tokens.
pub fn law(n_vocab: usize, order: usize) -> Law {
    power_unif_law(&vec![0.7; order], &vec![n_vocab; order], n_vocab, &mut TorchRng::new(1)).unwrap()
}

/// A Transformer with every part.
pub fn transformer() -> Transformer {
    let config = TransformerConfig {
        d_model: 4,
        n_vocab: 5,
        n_layers: 2,
        n_modules: 2,
        n_heads: 2,
        width: 3,
        depth: 1,
        ..Default::default()
    };
    Transformer::new(&config, &law(5, 3), &mut TorchRng::new(2)).unwrap()
}

/// The paper's Transformer: no layer norm, modules of another size than the stream, logits as they are; with every part, too.
pub fn of_paper() -> Transformer {
    let config = TransformerConfig {
        n_layers: 2,
        n_modules: 2,
        n_heads: 2,
        width: 3,
        depth: 1,
        ..TransformerConfig::of_paper(5, 4, 6)
    };
    Transformer::new(&config, &law(5, 3), &mut TorchRng::new(2)).unwrap()
}

/// A low-rank model.
pub fn low_rank() -> LowRank {
    LowRank::new(2, 5, 3, &law(5, 3), &mut TorchRng::new(3)).unwrap()
}

/// Tensors of all kinds, shapes and layouts, each with its name.
pub fn tensors() -> Vec<(String, Tensor)> {
    let cpu = Device::Cpu;
    let mut list: Vec<(String, Tensor)> = vec![
        ("undefined".into(), Tensor::new()),
        ("a number".into(), Tensor::from(2.5f32)),
        ("empty [0]".into(), Tensor::zeros([0], (Kind::Float, cpu))),
        ("empty [0, 3]".into(), Tensor::zeros([0, 3], (Kind::Float, cpu))),
        ("empty [3, 0]".into(), Tensor::zeros([3, 0], (Kind::Float, cpu))),
        ("a vector".into(), Tensor::from_slice(&[1f32, -2.0, 3.0])),
        ("a cube".into(), Tensor::arange(24, (Kind::Float, cpu)).view([2, 3, 4])),
        ("a row".into(), Tensor::from_slice(&[1f32, -2.0, 3.0]).view([1, 3])),
        ("a column".into(), Tensor::from_slice(&[1f32, -2.0, 3.0]).view([3, 1])),
        ("zeros".into(), Tensor::zeros([4, 2], (Kind::Float, cpu))),
        ("dependent".into(), Tensor::from_slice(&[0.1f32, 0.3, 0.2, 0.6, 0.7, 2.1]).view([3, 2])),
        ("transposed".into(), ordinary().transpose(0, 1)),
        ("every other".into(), Tensor::arange(40, (Kind::Float, cpu)).view([5, 8]).slice(1, 0, 8, 2).sin()),
        ("expanded".into(), Tensor::from_slice(&[1f32, 2.0]).expand([3, 2], false)),
        ("with gradient".into(), ordinary().set_requires_grad(true)),
        ("1e30".into(), ordinary() * 1e30),
        ("1e-30".into(), ordinary() * 1e-30),
        ("1e200".into(), ordinary().to_kind(Kind::Double) * 1e200),
        ("1e-200".into(), ordinary().to_kind(Kind::Double) * 1e-200),
        ("sparse".into(), ordinary().to_sparse(None, None::<&[i64]>, None)),
    ];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        list.push((format!("with {bad}"), Tensor::from_slice(&[1.0, bad, 2.0, 0.5, 3.0, -1.0]).view([3, 2])));
    }
    for kind in [
        Kind::Double,
        Kind::Half,
        Kind::BFloat16,
        Kind::Int64,
        Kind::Int,
        Kind::Int16,
        Kind::Int8,
        Kind::Uint8,
        Kind::Bool,
        Kind::ComplexFloat,
        Kind::ComplexDouble,
    ] {
        list.push((format!("{kind:?}"), (ordinary() * 3.0).abs().to_kind(kind)));
    }
    list
}

/// Four rows, two columns.
pub fn ordinary() -> Tensor {
    Tensor::from_slice(&[1f32, 2.0, 0.5, -1.0, 3.0, 0.25, -2.0, 1.5]).view([4, 2])
}

/// A tensor's shape and its values in double precision, if it is a matrix of finite real numbers with an entry.
pub fn matrix(tensor: &Tensor) -> Option<(usize, usize, Vec<f64>)> {
    if !tensor.defined() || tensor.is_sparse() {
        return None;
    }
    let [rows, columns] = tensor.size()[..] else { return None };
    let values = values(tensor).ok()?;
    (rows > 0 && columns > 0 && values.iter().all(|x| x.is_finite())).then_some((
        rows as usize,
        columns as usize,
        values,
    ))
}

/// Whether values agree to a thousandth of the largest of them.
pub fn near(got: &[f64], wanted: &[f64]) -> bool {
    let scale = wanted.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    got.len() == wanted.len() && got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-3 * scale)
}

/// Whether a picture is a PNG file.
pub fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 100
}
