//! What a file must be to both readers of model files: a whole model that computes, or refused in one line. The hostile run asks this of
//! changed files, and the fuzz target (`fuzz/`) of whatever it comes up with.

use std::path::Path;

use ntgram_core::prelude::*;

/// Files of every kind of model, by name.
pub fn save_whole(folder: &Path) -> Result<[&'static str; 3]> {
    super::inputs::transformer().save(folder.join("transformer"))?;
    super::inputs::of_paper().save(folder.join("of_paper"))?;
    super::inputs::low_rank().save(folder.join("low_rank"))?;
    Ok(["transformer", "of_paper", "low_rank"])
}

/// Whether a reader took the file at `path`.
///
/// # Errors
/// What went wrong: a model that is none, or an error that is unclear.
pub fn read(path: &Path) -> std::result::Result<bool, String> {
    let tokens = Tensor::zeros([1, 1], (Kind::Int64, Device::Cpu));
    let transformer = Transformer::load(path).map(|model| (model.forward(&tokens).err(), model.params().to_flat()));
    let low_rank = LowRank::load(path).map(|model| {
        let refused = match model.divergence() {
            // finite parameters can be so large that logits are not
            Err(Error::Argument { argument: "model", .. }) => None,
            divergence => divergence.err(),
        };
        (model.forward(&tokens).err().or(refused), model.params().to_flat())
    });
    Ok(right(transformer)? | right(low_rank)?)
}

fn right(loaded: Result<(Option<Error>, Vec<f32>)>) -> std::result::Result<bool, String> {
    match loaded {
        Ok((Some(refused), _)) => Err(format!("a model that refuses to compute: {refused:?}")),
        Ok((_, values)) if values.is_empty() || !values.iter().all(|x| x.is_finite()) => {
            Err(format!("a model with the parameters {values:?}"))
        }
        Ok(_) => Ok(true),
        Err(Error::File { reason, .. }) if !reason.is_empty() && !reason.contains('\n') && reason.len() < 2000 => {
            Ok(false)
        }
        Err(error) => Err(format!("an unclear error: {error:?}")),
    }
}
