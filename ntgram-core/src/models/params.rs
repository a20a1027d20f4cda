//! Named parameters of a model: their tensors in the order of the configuration's list, initial values drawn as
//! PyTorch draws them, one flat view for optimisers and the fast engine.

use ntgram_engine::models::{ParamSpec, Place, n_values};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::tensors::{NamedTensors, check_finite, check_real};

/// The tensors of a model with their names. Tensors are plain leaves without gradients; training makes its own.
#[derive(Debug)]
pub struct Parameters {
    specs: Vec<ParamSpec>,
    tensors: Vec<Tensor>,
}

impl Parameters {
    /// From all values, one after the other in the order of `specs`.
    pub(crate) fn from_flat(specs: Vec<ParamSpec>, values: &[f32]) -> Self {
        let tensors = Self::split(&specs, values);
        Self { specs, tensors }
    }

    /// A tensor for each parameter, from all values one after the other.
    fn split(specs: &[ParamSpec], mut values: &[f32]) -> Vec<Tensor> {
        let mut take = |spec: &ParamSpec| {
            let (own, rest) = values.split_at(spec.len());
            values = rest;
            Tensor::from_slice(own).view(&size(spec)[..])
        };
        specs.iter().map(&mut take).collect()
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

    /// Replaces the values of one parameter.
    ///
    /// # Errors
    /// No such name, another shape, or values that are not finite.
    pub fn set(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let target = self.get(name)?;
        check_real("values", values)?;
        if target.size() != values.size() {
            let expected = format!("the shape of `{name}` is {:?}", target.size());
            return Err(Error::argument("values", format!("of shape {:?}", values.size()), expected));
        }
        let copy = values.detach().to_kind(Kind::Float).to_device(target.device()).copy();
        check_finite("values", &copy)?; // in float32, in which it is kept
        let k = self.specs.iter().position(|s| s.name == name).expect("found above");
        self.tensors[k] = copy;
        Ok(())
    }

    /// All values one after the other, in order.
    pub fn to_flat(&self) -> Vec<f32> {
        let mut flat = vec![0f32; n_values(&self.specs)];
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
    /// Another length, or values that are not finite.
    pub fn set_flat(&mut self, flat: &[f32]) -> Result<()> {
        let total = n_values(&self.specs);
        if flat.len() != total {
            return Err(Error::argument("flat", format!("{} values long", flat.len()), format!("it must be {total}")));
        }
        check_finite("flat", &Tensor::from_slice(flat))?;
        self.put(flat);
        Ok(())
    }

    /// [`set_flat`](Self::set_flat) of what a training leaves, which may have diverged.
    pub(crate) fn put(&mut self, flat: &[f32]) {
        let device = self.device();
        self.tensors = Self::split(&self.specs, flat).into_iter().map(|tensor| tensor.to_device(device)).collect();
    }

    /// Refuses values that are not finite: those of a model whose training diverged.
    pub(crate) fn check_finite(&self) -> Result<()> {
        // Least and most are NaN where any value is. `isfinite` makes tensors as large as a parameter, whose memory malloc keeps.
        let is_finite = |tensor: &Tensor| {
            let (least, most) = tensor.aminmax(None::<i64>, false);
            least.double_value(&[]).is_finite() && most.double_value(&[]).is_finite()
        };
        match self.iter().find(|(_, tensor)| !is_finite(tensor)) {
            None => Ok(()),
            Some((name, _)) => {
                let expected = "its values must be finite: a training that diverged leaves such a model; make it anew";
                Err(Error::argument("model", format!("one with NaN or infinite values in `{name}`"), expected))
            }
        }
    }

    pub(crate) fn move_to(&mut self, device: Device) -> Result<()> {
        let missing = |reason: &str| {
            let expected = format!("it is not there: {}", reason.lines().next().unwrap_or_default());
            Error::argument("device", format!("{device:?}"), expected)
        };
        // tch passes numbers on as 32 bits
        if let Device::Cuda(index) = device
            && i64::try_from(index).map_or(true, |index| index >= tch::Cuda::device_count())
        {
            return Err(missing(&format!("libtorch sees {} CUDA devices", tch::Cuda::device_count())));
        }
        let moved = self.tensors.iter().map(|tensor| tensor.f_to_device(device).map_err(|e| missing(&e.to_string())));
        self.tensors = moved.collect::<Result<_>>()?;
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

impl NamedTensors for Parameters {
    fn names(&self) -> Vec<String> {
        self.specs.iter().map(|spec| spec.name.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        self.iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor.shallow_clone())
    }
}

/// The weight at a place of a list of parameters: a view of its rows.
pub(super) fn at(place: &Place, list: &[Tensor]) -> Tensor {
    list[place.parameter].narrow(0, place.rows.start as i64, place.rows.len() as i64)
}

/// A parameter's shape as tch wants it.
pub(crate) fn size(spec: &ParamSpec) -> Vec<i64> {
    spec.shape.iter().map(|&n| n as i64).collect()
}
