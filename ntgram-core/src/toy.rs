//! The ReLU toy model of Elhage et al. 2022, "Toy Models of Superposition" (<https://transformer-circuits.pub/2022/toy_model/index.html>), as a
//! counterpart to the softmax: features that are rarely there are squeezed through a few numbers and read back. Trained by tch's autograd,
//! many models at once.
//!
//! | here | the paper |
//! |---|---|
//! | `n_features` N, `width` d | `n`, `m` |
//! | `w (N, d)`, row `i` the vector of feature `i` | `W (m, n)`, column `i` |
//! | density, the probability that a feature is there | `1 − S`, `S` the sparsity |
//! | importance | `I_i` |
//!
//! The model is `h = x W` (with a privileged basis `h = ReLU(x W)`), `x' = ReLU(h Wᵀ + b)`; the loss `Σ_i I_i (x'_i − x_i)²`, the mean over
//! examples. A feature that is there is uniform between 0 and 1.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::rng::TorchRng;
use crate::tensors::{RandomTensor, check_finite, values};

/// Which features are there together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Company {
    /// Each comes and goes by itself.
    #[default]
    Alone,
    /// Features 0 and 1 come together, 2 and 3, and so on; each with a value of its own.
    Together,
    /// Of features 0 and 1 one comes at most, of 2 and 3 …; each as often as the density says, which is 1/2 at most.
    Apart,
}

/// Features that a model may have.
pub const MOST_FEATURES: usize = 1 << 16;
/// Numbers of the models side by side, and of what they make of a batch: 256 MiB of float32, which there are several of.
const MOST_NUMBERS: f64 = (1 << 26) as f64;
const MOST_STEPS: usize = 1 << 24;

/// One model, and the world it is trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct ToyConfig {
    /// Importance of each feature, at least 0: as many as there are features.
    pub importance: Vec<f64>,
    /// Probability that a feature is there, above 0 and at most 1.
    pub density: f64,
    /// Which are there together.
    pub company: Company,
    /// Whether the hidden numbers go through a ReLU, which makes their axes special.
    pub privileged: bool,
}

impl ToyConfig {
    /// `n_features` features of importance 1 that come and go by themselves, read linearly. Of more than [`MOST_FEATURES`] the list is cut off
    /// after one too many: no model has so many, and [`train_toys`] refuses it.
    pub fn new(n_features: usize, density: f64) -> Self {
        let importance = vec![1.0; n_features.min(MOST_FEATURES + 1)];
        Self { importance, density, company: Company::Alone, privileged: false }
    }

    fn check(&self, n_features: usize) -> Result<()> {
        let n = self.importance.len();
        if n == 0 || n != n_features {
            let expected = format!("all models side by side have as many features, {n_features}, and at least one");
            return Err(Error::argument("importance", format!("{n} values"), expected));
        }
        if n > MOST_FEATURES {
            let expected = format!("a model has up to {MOST_FEATURES} features");
            return Err(Error::argument("importance", format!("more than {MOST_FEATURES} values"), expected));
        }
        if let Some(bad) = self.importance.iter().find(|i| !(**i >= 0.0 && (**i as f32).is_finite())) {
            let value = format!("a list with {bad}");
            return Err(Error::argument("importance", value, "each is at least 0, and finite in float32"));
        }
        let most = if self.company == Company::Apart { 0.5 } else { 1.0 };
        if !(self.density > 0.0 && self.density <= most) {
            return Err(Error::argument("density", self.density, format!("it must be above 0 and at most {most}")));
        }
        Ok(())
    }
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct ToyOptions {
    /// Adam steps.
    pub steps: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// Learning rate at the start, 0 or more; it falls linearly to a tenth.
    pub lr: f64,
    /// Seed of initial weights and examples.
    pub seed: u64,
}

impl Default for ToyOptions {
    fn default() -> Self {
        Self { steps: 3000, batch_size: 512, lr: 1e-2, seed: 0 }
    }
}

/// A trained model.
#[derive(Debug)]
pub struct Toy {
    /// Vectors of the features `(N, d)`.
    pub w: Tensor,
    /// Bias `(N,)`.
    pub b: Tensor,
    /// What it was trained on.
    pub config: ToyConfig,
    /// Mean loss of the last tenth of its training.
    pub loss: f64,
}

/// Trains models of one width and one number of features side by side, in one batch of matrices. All see the same draws: a feature is
/// there where a draw is below the model's density. The first model is the one that it would be alone.
///
/// ```
/// use ntgram_core::toy::{ToyConfig, ToyOptions, train_toys};
/// # fn main() -> ntgram_core::Result<()> {
/// // two features, one number; both always there, or hardly ever
/// let configs = [ToyConfig::new(2, 1.0), ToyConfig::new(2, 0.02)];
/// let toys = train_toys(&configs, 1, &ToyOptions { steps: 600, ..ToyOptions::default() })?;
/// let product = |k: usize| (toys[k].w.get(0) * toys[k].w.get(1)).double_value(&[0]);
/// assert!(product(1) < -0.5, "opposite ends of one axis: superposition");
/// assert!(product(0) > product(1) + 0.3, "no superposition where both are always there");
/// # Ok(()) }
/// ```
///
/// # Errors
/// No models; configurations of different sizes or values out of range; a width, a batch size or steps of 0, or more of them than memory or
/// a day hold; losses or weights that are no finite numbers at the end.
pub fn train_toys(configs: &[ToyConfig], width: usize, options: &ToyOptions) -> Result<Vec<Toy>> {
    let n = configs.first().map_or(0, |config| config.importance.len());
    configs.iter().try_for_each(|config| config.check(n))?;
    if configs.is_empty() {
        return Err(Error::argument("configs", "empty", "there must be at least one model"));
    }
    for (argument, value) in [("width", width), ("steps", options.steps), ("batch_size", options.batch_size)] {
        if value == 0 {
            return Err(Error::argument(argument, 0, "it must be at least 1"));
        }
    }
    check_sizes(configs.len(), n, width, options)?;
    let mut rng = TorchRng::new(options.seed);
    let mut of_examples = TorchRng::new(rng.draw64());
    let (models, batch) = (configs.len() as i64, options.batch_size as i64);
    // as the paper's: Xavier's normal values, and no bias
    let spread = (2.0 / (n + width) as f64).sqrt();
    let initial = configs.iter().map(|_| rng.randn_tensor(&[n, width])).collect::<Result<Vec<_>>>()?;
    let mut w = (Tensor::stack(&initial, 0) * spread).set_requires_grad(true); // (K, N, d)
    let mut b = Tensor::zeros([models, 1, n as i64], (Kind::Float, Device::Cpu)).set_requires_grad(true); // (K, 1, N)
    let world = World::new(configs, n);
    let mut adam = [&w, &b].map(|p| (p.zeros_like(), p.zeros_like()));
    let tail = options.steps.div_ceil(10);
    let mut loss_sum = Tensor::zeros([models], (Kind::Double, Device::Cpu));
    for step in 0..options.steps {
        let x = world.examples(&mut of_examples, batch)?; // (K, B, N)
        let hidden = x.bmm(&w); // (K, B, d)
        let hidden = hidden.relu().where_self(&world.privileged, &hidden);
        let out = b.baddbmm(&hidden, &w.transpose(1, 2), 1.0, 1.0).relu(); // (K, B, N)
        let losses = ((out - &x).square() * &world.importance).sum_dim_intlist(2, false, None).mean_dim(1, false, None); // (K,)
        if step + tail >= options.steps {
            loss_sum += losses.detach().to_kind(Kind::Double);
        }
        let gradients = Tensor::run_backward(&[losses.sum(None)], &[&w, &b], false, false);
        let lr = options.lr * (1.0 - 0.9 * step as f64 / options.steps as f64);
        tch::no_grad(|| {
            for ((p, g), (m, v)) in [&mut w, &mut b].into_iter().zip(&gradients).zip(&mut adam) {
                adam_step(p, g, (m, v), step as i32 + 1, lr);
            }
        });
    }
    let (w, b, losses) = (w.detach(), b.detach(), loss_sum / tail as f64);
    for (name, end) in [("w", &w), ("b", &b), ("loss", &losses)] {
        if check_finite(name, end).is_err() {
            let losses = values(&losses)?;
            let parameter = name.to_owned();
            return Err(Error::Diverged { step: options.steps, parameter, loss: losses, accuracy: vec![] });
        }
    }
    let toy = |(k, config): (usize, &ToyConfig)| {
        let k = k as i64;
        Toy { w: w.get(k).copy(), b: b.get(k).get(0).copy(), config: config.clone(), loss: losses.double_value(&[k]) }
    };
    Ok(configs.iter().enumerate().map(toy).collect())
}

/// Refuses what no memory holds and no day is long enough for, and a rate that is none.
fn check_sizes(models: usize, n: usize, width: usize, options: &ToyOptions) -> Result<()> {
    let [models, n, d, batch] = [models, n, width, options.batch_size].map(|size| size as f64);
    if models * n * d > MOST_NUMBERS {
        let expected = format!("{models} × {n} × {d} numbers of {models} models do not fit in memory");
        return Err(Error::argument("width", width, expected));
    }
    if models * batch * n.max(d) > MOST_NUMBERS {
        let expected = format!("{models} × {batch} × {} numbers of a batch do not fit in memory", n.max(d));
        return Err(Error::argument("batch_size", options.batch_size, expected));
    }
    if options.steps > MOST_STEPS {
        return Err(Error::argument("steps", options.steps, format!("it may be up to {MOST_STEPS}")));
    }
    if !(options.lr >= 0.0 && options.lr.is_finite()) {
        return Err(Error::argument("lr", options.lr, "it must be a finite number that is not negative"));
    }
    Ok(())
}

/// One step of Adam (β = 0.9 and 0.999, ε = 1e-8).
fn adam_step(p: &mut Tensor, g: &Tensor, (m, v): (&mut Tensor, &mut Tensor), step: i32, lr: f64) {
    *m = &*m * 0.9 + g * 0.1;
    *v = &*v * 0.999 + g.square() * 0.001;
    let (m_hat, v_hat) = (&*m / (1.0 - 0.9f64.powi(step)), &*v / (1.0 - 0.999f64.powi(step)));
    let _ = p.subtract_(&(m_hat / (v_hat.sqrt() + 1e-8) * lr));
}

/// What all examples have in common, a row for each model.
struct World {
    n: usize,
    /// `(K, 1, 1)`.
    density: Tensor,
    /// Booleans `(K, 1, 1)`.
    together: Tensor,
    apart: Tensor,
    privileged: Tensor,
    /// `(K, 1, N)`.
    importance: Tensor,
}

impl World {
    fn new(configs: &[ToyConfig], n: usize) -> Self {
        let models = configs.len() as i64;
        let flag = |is: &dyn Fn(&ToyConfig) -> bool| {
            Tensor::from_slice(&configs.iter().map(is).collect::<Vec<_>>()).view([models, 1, 1])
        };
        let density: Vec<f32> = configs.iter().map(|config| config.density as f32).collect();
        let importance: Vec<f32> = configs.iter().flat_map(|c| c.importance.iter().map(|i| *i as f32)).collect();
        Self {
            n,
            density: Tensor::from_slice(&density).view([models, 1, 1]),
            together: flag(&|config| config.company == Company::Together),
            apart: flag(&|config| config.company == Company::Apart),
            privileged: flag(&|config| config.privileged),
            importance: Tensor::from_slice(&importance).view([models, 1, n as i64]),
        }
    }

    /// `(K, B, N)`.
    fn examples(&self, rng: &mut TorchRng, batch: i64) -> Result<Tensor> {
        let n = self.n as i64;
        let mut uniform = |columns: i64| {
            let draws = rng.uniform_vec((batch * columns) as usize, 0.0, 1.0)?;
            Ok::<_, Error>(Tensor::from_slice(&draws).view([1, batch, columns]))
        };
        let (own, values) = (uniform(n)?, uniform(n)?);
        // the draw of a feature's pair: its first member's
        let first: Vec<i64> = (0..n).map(|k| k - k % 2).collect();
        let of_pair = own.index_select(2, &Tensor::from_slice(&first));
        // apart: the first of a pair is there below the density, the second above one less the density
        let second = Tensor::from_slice(&(0..n).map(|k| k % 2 == 1).collect::<Vec<_>>()).view([1, 1, n]);
        let mirrored = (of_pair.ones_like() - &of_pair).where_self(&second, &of_pair);
        let draws = of_pair.where_self(&self.together, &mirrored.where_self(&self.apart, &own)); // (K, B, N)
        Ok(values * draws.lt_tensor(&self.density).to_kind(Kind::Float))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::mean;

    fn examples(company: Company, density: f64) -> Vec<Vec<f64>> {
        let config = ToyConfig { company, ..ToyConfig::new(4, density) };
        let x = World::new(&[config], 4).examples(&mut TorchRng::new(5), 20_000).unwrap();
        values(&x).unwrap().chunks(4).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn features_are_there_as_often_as_the_density_says_and_uniform() {
        for company in [Company::Alone, Company::Together, Company::Apart] {
            let rows = examples(company, 0.3);
            for k in 0..4 {
                let present: Vec<f64> = rows.iter().map(|row| row[k]).filter(|x| *x > 0.0).collect();
                assert!((present.len() as f64 / 20_000.0 - 0.3).abs() < 0.015, "{company:?} {k}: {}", present.len());
                assert!((mean(&present) - 0.5).abs() < 0.02 && present.iter().all(|x| (0.0..1.0).contains(x)));
            }
        }
    }

    #[test]
    fn pairs_come_together_or_apart() {
        let both = |rows: &[Vec<f64>], j: usize, k: usize| rows.iter().filter(|r| r[j] > 0.0 && r[k] > 0.0).count();
        let (alone, together, apart) =
            (examples(Company::Alone, 0.3), examples(Company::Together, 0.3), examples(Company::Apart, 0.3));
        assert!(both(&alone, 0, 1).abs_diff(1800) < 200 && both(&alone, 1, 2).abs_diff(1800) < 200);
        let present = |rows: &[Vec<f64>], k: usize| rows.iter().filter(|r| r[k] > 0.0).count();
        assert_eq!(both(&together, 0, 1), present(&together, 0));
        assert_eq!((both(&apart, 0, 1), both(&apart, 2, 3)), (0, 0));
        assert!(both(&together, 1, 2).abs_diff(1800) < 200 && both(&apart, 1, 2).abs_diff(1800) < 200, "pairs alone");
    }

    #[test]
    fn the_loss_is_the_formulas_and_a_perfect_model_is_kept() {
        // as many numbers as features: W the unit matrix copies everything
        let toys = train_toys(&[ToyConfig::new(3, 0.5)], 3, &ToyOptions { steps: 2500, ..Default::default() }).unwrap();
        assert!(toys[0].loss < 1e-3, "{}", toys[0].loss);
        let products = values(&toys[0].w.matmul(&toys[0].w.transpose(0, 1))).unwrap();
        for (k, product) in products.iter().enumerate() {
            assert!((product - f64::from(u8::from(k % 4 == 0))).abs() < 0.05, "{products:?}");
        }
        // the loss before the first step, of features 0 (importance 4) and 1 (none), computed by hand
        let constant = [ToyConfig { importance: vec![4.0, 0.0], ..ToyConfig::new(2, 1.0) }];
        let short = ToyOptions { steps: 1, batch_size: 200_000, ..Default::default() };
        let (toy, rng) = (&train_toys(&constant, 1, &short).unwrap()[0], &mut TorchRng::new(0));
        let of_examples = &mut TorchRng::new(rng.draw64());
        let w = rng.randn_tensor(&[2, 1]).unwrap() * (2.0f64 / 3.0).sqrt();
        let x = World::new(&constant, 2).examples(of_examples, 200_000).unwrap().get(0);
        let out = x.matmul(&w).matmul(&w.transpose(0, 1)).relu();
        let expected = ((out - &x).select(1, 0).square() * 4.0).mean(Kind::Double).double_value(&[]);
        assert!((toy.loss - expected).abs() < 1e-5, "{} {expected}", toy.loss);
    }

    #[test]
    fn a_model_beside_others_is_the_one_trained_alone() {
        let configs = [
            ToyConfig::new(4, 0.7),
            ToyConfig { company: Company::Apart, ..ToyConfig::new(4, 0.1) },
            ToyConfig { privileged: true, importance: vec![1.0, 0.5, 0.2, 0.1], ..ToyConfig::new(4, 0.2) },
        ];
        let options = ToyOptions { steps: 40, batch_size: 64, ..Default::default() };
        let all = train_toys(&configs, 2, &options).unwrap();
        let alone = &train_toys(&configs[..1], 2, &options).unwrap()[0];
        assert!((&alone.w - &all[0].w).abs().max().double_value(&[]) < 1e-4);
        assert!((alone.loss - all[0].loss).abs() < 1e-4 && (all[1].loss - all[0].loss).abs() > 1e-3);
        assert_eq!((all[2].w.size(), all[2].b.size()), (vec![4, 2], vec![4]));
    }

    #[test]
    fn a_privileged_basis_is_one_that_a_relu_makes() {
        // with a ReLU no hidden number is below 0: a feature of negative weights alone cannot be read at all
        let config = ToyConfig { privileged: true, ..ToyConfig::new(1, 1.0) };
        let options = ToyOptions { steps: 1, lr: 0.0, batch_size: 1000, ..Default::default() };
        for seed in 0..6 {
            let options = ToyOptions { seed, ..options.clone() };
            let toy = &train_toys(std::slice::from_ref(&config), 1, &options).unwrap()[0];
            let w = toy.w.double_value(&[0, 0]);
            let unread = if w < 0.0 { 1.0 / 3.0 } else { (1.0 - w * w).powi(2) / 3.0 };
            assert!((toy.loss - unread).abs() < 0.03, "{w}: {} {unread}", toy.loss);
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let message = |configs: &[ToyConfig], width: usize| {
            train_toys(configs, width, &ToyOptions::default()).unwrap_err().to_string()
        };
        let good = ToyConfig::new(4, 0.5);
        assert!(
            message(&[], 2).starts_with("`configs`") && message(std::slice::from_ref(&good), 0).starts_with("`width`")
        );
        assert!(message(&[good, ToyConfig::new(3, 0.5)], 2).starts_with("`importance`"));
        assert!(message(&[ToyConfig::new(4, 0.0)], 2).starts_with("`density`"));
        assert!(message(&[ToyConfig { company: Company::Apart, ..ToyConfig::new(4, 0.8) }], 2).contains("at most 0.5"));
        assert!(
            message(&[ToyConfig { importance: vec![-1.0], ..ToyConfig::new(1, 0.5) }], 2).starts_with("`importance`")
        );
    }
}
