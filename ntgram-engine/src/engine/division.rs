//! Into how many parts a problem is divided, by estimates of work and memory.

use super::Problem;
use super::layout::{Layout, Tables};
use super::{prefix, transformer};
use crate::models::ModelConfig;

/// Attention modules that take about as much work as the unembedding.
const MODULES_PER_UNEMBEDDING: usize = 4;

/// Multiplications in a step below which a second thread does not pay.
const WORK_FOR_TWO: usize = 1 << 17;

/// Multiplications that take about as long as shuffling one sample.
const SHUFFLE_WORK: f64 = 60.0;

/// Most of the time of a step that shuffling is taken to need.
const MOST_SHUFFLE_SHARE: f64 = 0.2;

/// Memory that a training may take whatever the size of its parameters and data, in bytes.
const SMALL_MEMORY: usize = 16 << 20;

/// About the work on one sample, in multiplications by a parameter.
fn sample_work(model: ModelConfig) -> usize {
    match model {
        ModelConfig::Transformer(c) => c.n_vocab * c.d_model * (1 + c.n_layers * c.n_modules / MODULES_PER_UNEMBEDDING),
        ModelConfig::LowRank(c) => c.n_vocab * c.d_model,
    }
}

/// About the time that shuffling takes, as a share of that of the steps.
pub(super) fn shuffle_share(model: ModelConfig) -> f64 {
    (SHUFFLE_WORK / sample_work(model) as f64).min(MOST_SHUFFLE_SHARE)
}

/// Parts of a problem: more than one only where a step is long enough that threads pay, and where memory allows.
///
/// All that there is in memory counts: the model, its copy and Adam's moments here, the sequences, their keys, and what two parts
/// need. It must be no more than twice the parameters, moments and sequences alone.
pub(super) fn part_count(problem: &Problem) -> usize {
    let n = problem.model.n_vocab();
    let pairs = problem.batch_size.min(n.saturating_pow(2)).saturating_mul(problem.scored());
    if pairs.saturating_mul(sample_work(problem.model)) < WORK_FOR_TWO {
        return 1;
    }
    let ModelConfig::Transformer(config) = problem.model else { return 2 };
    let sequences = size_of_val(problem.tokens);
    let samples = problem.tokens.len() / problem.window;
    let (model, keys, part) = if transformer::takes(problem, config) {
        let layout = Layout::new(config, &problem.freeze, Some(Tables::ByHead));
        (size_of::<f32>() * layout.len, samples * size_of::<u32>(), size_of::<f32>() * layout.part_len(n.min(pairs)))
    } else {
        let sizes = prefix::Sizes::new(problem, config);
        (sizes.model_bytes(), sizes.keys_bytes(), sizes.part_bytes() as usize)
    };
    let params_and_moments = 3 * model;
    let ours = params_and_moments + keys + 2 * part;
    let allowed = 2 * (params_and_moments + sequences);
    if ours <= SMALL_MEMORY || model + sequences + ours <= allowed { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simple;
    use super::*;
    use crate::models::{LowRankConfig, TransformerConfig};

    #[test]
    fn a_second_part_where_a_step_is_long_and_memory_allows() {
        // N, d, H (0: low rank), samples of a batch, samples in all.
        for (n_vocab, d_model, n_modules, batch_size, samples, parts) in [
            (10, 5, 20, 1024, 5_000_000, 1),
            (100, 10, 0, 1024, 5_000_000, 2),
            (100, 10, 5, 1024, 5_000_000, 2),
            (100, 10, 5, 1024, 10_000, 2),
            (300, 64, 64, 128, 40_000, 1),
            (300, 64, 64, 128, 10_000_000, 2),
        ] {
            let transformer = TransformerConfig { d_model, n_vocab, n_modules, ..Default::default() };
            let low_rank = LowRankConfig { d_model, n_vocab, ..Default::default() };
            let model =
                if n_modules == 0 { ModelConfig::LowRank(&low_rank) } else { ModelConfig::Transformer(&transformer) };
            // Only its length is looked at: no memory is touched.
            let tokens = vec![0; 3 * samples];
            let problem = simple(model, &[], &tokens, batch_size);
            assert_eq!(part_count(&problem), parts, "{n_vocab} {d_model} {samples}");
        }
    }
}
