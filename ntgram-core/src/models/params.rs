//! Named parameters of a model: their tensors in the order of the configuration's list, initial values drawn as
//! PyTorch draws them, one flat view for optimisers and the fast engine.

use tch::{Device, Kind, Tensor};

use super::config::{ParamKind, ParamSpec};
use crate::error::{Error, Result};
use crate::rng::TorchRng;

/// The tensors of a model with their names. Tensors are plain leaves without gradients; training makes its own.
#[derive(Debug)]
pub struct Parameters {
    specs: Vec<ParamSpec>,
    tensors: Vec<Tensor>,
}

impl Parameters {
    /// Draws each parameter from `U(-a, a)` with its own [`ParamSpec::init_bound`], one word of `rng` a value. The order
    /// of draws is that of the list, but a module's `out_proj` comes before its `in_proj`, as in PyTorch.
    pub(crate) fn init(specs: Vec<ParamSpec>, rng: &mut TorchRng) -> Self {
        let mut order: Vec<usize> = (0..specs.len()).collect();
        for (k, _) in specs.iter().enumerate().filter(|(_, spec)| spec.kind == ParamKind::OutProj) {
            order.swap(k - 1, k);
        }
        let mut drawn: Vec<Option<Tensor>> = specs.iter().map(|_| None).collect();
        for k in order {
            let bound = specs[k].init_bound();
            let values = rng.uniform_vec(specs[k].len(), -bound, bound);
            drawn[k] = Some(Tensor::from_slice(&values).view(&size(&specs[k])[..]));
        }
        Self { specs, tensors: drawn.into_iter().flatten().collect() }
    }

    /// Takes tensors that were read from a file, in the order of `specs`, already checked for shape.
    pub(crate) fn from_tensors(specs: Vec<ParamSpec>, tensors: Vec<Tensor>) -> Self {
        Self { specs, tensors }
    }

    /// Names, shapes and kinds, in order.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// The tensors, in the same order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// `(name, tensor)` pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.specs.iter().map(|s| s.name.as_str()).zip(&self.tensors)
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// No parameter has that name; the message lists those there are.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.iter().find(|(n, _)| *n == name).map(|(_, tensor)| tensor);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.specs.iter().map(|s| s.name.as_str()).collect();
            Error::argument("name", format!("{name:?}"), format!("it must be one of {}", names.join(", ")))
        })
    }

    /// Replaces the values of one parameter.
    ///
    /// # Errors
    /// No such name, another shape, or values that are not finite.
    pub fn set(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let target = self.get(name)?;
        if target.size() != values.size() {
            let expected = format!("the shape of `{name}` is {:?}", target.size());
            return Err(Error::argument("values", format!("of shape {:?}", values.size()), expected));
        }
        if values.isfinite().all().int64_value(&[]) == 0 {
            return Err(Error::argument("values", "not finite", "every value must be a finite number"));
        }
        let copy = values.detach().to_kind(Kind::Float).to_device(target.device()).copy();
        let k = self.specs.iter().position(|s| s.name == name).expect("found above");
        self.tensors[k] = copy;
        Ok(())
    }

    /// All values one after the other, in order.
    pub fn to_flat(&self) -> Vec<f32> {
        let mut flat = vec![0f32; self.specs.iter().map(ParamSpec::len).sum()];
        let mut at = 0;
        for (spec, tensor) in self.specs.iter().zip(&self.tensors) {
            let end = at + spec.len();
            tensor.contiguous().copy_data(&mut flat[at..end], spec.len());
            at = end;
        }
        flat
    }

    /// Replaces all values by `flat`, which has the layout of [`to_flat`](Self::to_flat).
    ///
    /// # Errors
    /// Another length.
    pub fn set_flat(&mut self, flat: &[f32]) -> Result<()> {
        let total: usize = self.specs.iter().map(ParamSpec::len).sum();
        if flat.len() != total {
            return Err(Error::argument("flat", format!("{} values long", flat.len()), format!("it must be {total}")));
        }
        let mut at = 0;
        for (spec, tensor) in self.specs.iter().zip(&mut self.tensors) {
            let end = at + spec.len();
            *tensor = Tensor::from_slice(&flat[at..end]).view(&size(spec)[..]).to_device(tensor.device());
            at = end;
        }
        Ok(())
    }

    pub(crate) fn move_to(&mut self, device: Device) -> Result<()> {
        for tensor in &mut self.tensors {
            *tensor = tensor.f_to_device(device)?;
        }
        Ok(())
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.tensors[0].device()
    }
}

impl Clone for Parameters {
    /// A deep copy: training the clone leaves the original as it is.
    fn clone(&self) -> Self {
        Self { specs: self.specs.clone(), tensors: self.tensors.iter().map(Tensor::copy).collect() }
    }
}

/// A parameter's shape as tch wants it.
pub(crate) fn size(spec: &ParamSpec) -> Vec<i64> {
    spec.shape.iter().map(|&n| n as i64).collect()
}
