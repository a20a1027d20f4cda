//! The way between tensors and everything else: values of a tensor, tensors of what the engine crate keeps as slices, tensors by name.

use ntgram_engine::data::Data;
use ntgram_engine::laws::{Law, Sequences};
use ntgram_engine::rng::TorchRng;
use ntgram_engine::train::Snapshot;
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::torch::Torch;

/// A tensor's values, row by row, in double precision; from any device, kind and layout.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let w = Tensor::from_slice(&[1i64, 2, 3, 4]).view([2, 2]);
/// assert_eq!(values(&w.transpose(0, 1))?, [1.0, 3.0, 2.0, 4.0]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Complex or quantised values.
pub fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    check_real("tensor", tensor)?;
    check_count("tensor", tensor)?;
    let list = tensor.detach().f_to_device(tch::Device::Cpu).torch()?.f_to_kind(Kind::Double).torch()?;
    Vec::<f64>::try_from(list.f_contiguous().torch()?.f_view(-1).torch()?).torch()
}

/// A tensor must hold real numbers, all of them stored.
pub(crate) fn check_real(argument: &'static str, tensor: &Tensor) -> Result<()> {
    let expected = "it must hold real numbers";
    if !tensor.defined() {
        return Err(Error::argument(argument, "a tensor without values", expected));
    }
    let kind = tensor.f_kind().torch()?;
    if !is_plain(kind) {
        return Err(Error::argument(argument, format!("of kind {kind:?}"), expected));
    }
    // what has no strides is sparse, or in a layout of another library
    if tensor.is_sparse() || tensor.is_mkldnn() {
        return Err(Error::argument(argument, "sparse", "it must be dense: use `.to_dense(None, false)`"));
    }
    Ok(())
}

/// Every value must be a finite number.
pub(crate) fn check_finite(argument: &'static str, tensor: &Tensor) -> Result<()> {
    match tensor.isfinite().all().int64_value(&[]) {
        0 => Err(Error::argument(argument, "not finite", "every value must be a finite number")),
        _ => Ok(()),
    }
}

/// Most values of a tensor that is copied; an expanded one has more than it stores.
const MOST_VALUES: usize = 1 << 31;

fn check_count(argument: &'static str, tensor: &Tensor) -> Result<()> {
    match tensor.numel() {
        count if count > MOST_VALUES => {
            Err(Error::argument(argument, format!("of shape {:?}", tensor.size()), "a copy has up to 2^31 values"))
        }
        _ => Ok(()),
    }
}

/// Refuses a singular value decomposition of `rows × columns` numbers that would take minutes, or more; nothing could stop it.
pub(crate) fn check_decomposition(
    argument: &'static str,
    value: impl ToString,
    rows: usize,
    columns: usize,
) -> Result<()> {
    let cost = rows as f64 * columns as f64 * rows.min(columns) as f64;
    if cost <= MOST_PRODUCTS {
        return Ok(());
    }
    let expected = format!("the decomposition of {rows} × {columns} numbers takes too long");
    Err(Error::argument(argument, value, expected))
}

/// Products of a decomposition: some half a minute on two cores.
const MOST_PRODUCTS: f64 = 3.0e10;

/// Whether values of this kind are plain real numbers.
pub(crate) fn is_plain(kind: Kind) -> bool {
    use Kind::{BFloat16, Bool, Double, Float, Half, Int, Int8, Int16, Int64, Uint8};
    matches!(kind, Uint8 | Int8 | Int16 | Int | Int64 | Half | Float | Double | Bool | BFloat16)
}

/// What the engine crate keeps as slices, as a tensor.
pub trait ToTensor {
    /// A copy on the CPU. Tokens are int64, as models take them; probabilities float32.
    fn to_tensor(&self) -> Tensor;
}

impl ToTensor for Sequences {
    /// The sequences, `(rows, length)`.
    fn to_tensor(&self) -> Tensor {
        let tokens: Vec<i64> = self.tokens().iter().map(|&token| i64::from(token)).collect();
        Tensor::from_slice(&tokens).view([self.rows() as i64, self.length() as i64])
    }
}

impl ToTensor for Data {
    /// All sequences in the order in which they were drawn, `(rows, T)`. [`Data::head`] gives a few.
    fn to_tensor(&self) -> Tensor {
        self.sequences().to_tensor()
    }
}

impl ToTensor for Law {
    /// The last table, `(N,)*n`: `pi[x_0, …, x_{n-2}, k]`.
    fn to_tensor(&self) -> Tensor {
        Tensor::from_slice(self.last_table()).view(&vec![self.n_vocab() as i64; self.order()][..])
    }
}

/// Normal draws as a tensor.
pub trait RandomTensor {
    /// `torch.randn(size)` in float32.
    ///
    /// # Errors
    /// More than 2^31 values.
    fn randn_tensor(&mut self, size: &[usize]) -> Result<Tensor>;
}

impl RandomTensor for TorchRng {
    fn randn_tensor(&mut self, size: &[usize]) -> Result<Tensor> {
        let total =
            size.iter().try_fold(1usize, |total, &side| total.checked_mul(side)).filter(|&total| total <= MOST_VALUES);
        let too_many =
            || Error::argument("size", format!("{size:?}"), "a tensor has up to 2^31 values, if memory has room");
        let Some(total) = total else { return Err(too_many()) };
        let shape =
            size.iter().map(|&side| i64::try_from(side)).collect::<Result<Vec<_>, _>>().map_err(|_| too_many())?;
        let values = self.randn(total).map_err(|_| too_many())?;
        Ok(Tensor::from_slice(&values).view(&shape[..]))
    }
}

/// Tensors that have names: parameters, activations, snapshots.
pub trait NamedTensors {
    /// The names, in their order.
    fn names(&self) -> Vec<String>;

    /// The tensor of that name, if there is one.
    #[doc(hidden)]
    fn find(&self, name: &str) -> Option<Tensor>;

    /// The tensor of that name.
    ///
    /// # Errors
    /// No such name; the message lists those there are.
    fn get(&self, name: &str) -> Result<Tensor> {
        self.find(name).ok_or_else(|| {
            let expected = format!("it must be one of {}", self.names().join(", "));
            Error::argument("name", format!("{name:?}"), expected)
        })
    }
}

impl NamedTensors for Snapshot {
    fn names(&self) -> Vec<String> {
        Snapshot::names(self)
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        let (shape, values) = self.values(name).ok()?;
        let shape: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        Some(Tensor::from_slice(values).view(&shape[..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_kind_and_layout() {
        let w = Tensor::from_slice(&[true, false, true, true]).view([2, 2]);
        assert_eq!(values(&w.transpose(0, 1)).unwrap(), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(values(&Tensor::from(2.5f32)).unwrap(), [2.5]);
        assert_eq!(values(&Tensor::zeros([0, 3], (Kind::Int64, tch::Device::Cpu))).unwrap(), [0.0; 0]);
        let complex = Tensor::zeros([2], (Kind::ComplexFloat, tch::Device::Cpu));
        assert!(values(&complex).unwrap_err().to_string().starts_with("`tensor` is of kind ComplexFloat"));
    }

    #[test]
    fn random_tensors_are_the_streams_and_sizes_are_checked() {
        let tensor = TorchRng::new(3).randn_tensor(&[4, 5]).unwrap();
        let list: Vec<f64> = TorchRng::new(3).randn(20).unwrap().into_iter().map(f64::from).collect();
        assert_eq!((tensor.size(), values(&tensor).unwrap()), (vec![4, 5], list));
        assert!(TorchRng::new(3).randn_tensor(&[usize::MAX, 2]).is_err());
    }
}
