//! Model files: safetensors with the sizes in the header and the law's tables beside the parameters, so that a file is a whole
//! model. Written to a temporary name and moved, so that no file is left half written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ntgram_engine::laws::Law;
use ntgram_engine::models::{ModelConfig, ParamSpec};
use safetensors::{Dtype, SafeTensors, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

use super::model::State;
use super::params::{Parameters, size};
use crate::error::{Error, Result};
use crate::files::write_whole;

/// A float32 tensor as the safetensors crate wants it.
struct Floats {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Floats {
    fn new(shape: Vec<usize>, values: &[f32]) -> Self {
        Self { shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
}

impl View for Floats {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a model.
pub(super) fn save(path: &Path, kind: &str, config: &impl Serialize, state: &State) -> Result<()> {
    let (law, params) = (&state.law, &state.params);
    params.check_finite()?;
    let mut tensors: Vec<(String, Floats)> = Vec::new();
    let mut flat = params.to_flat();
    for spec in params.specs() {
        let rest = flat.split_off(spec.len());
        tensors.push((spec.name.clone(), Floats::new(spec.shape.clone(), &flat)));
        flat = rest;
    }
    for (i, table) in (0..law.order()).filter_map(|i| law.table(i)).enumerate() {
        tensors.push((format!("pi.{i}"), Floats::new(vec![law.n_vocab(); i + 1], table)));
    }
    let config = serde_json::to_string(config).expect("a configuration is plain data");
    let header = HashMap::from([("model".to_owned(), kind.to_owned()), ("config".to_owned(), config)]);
    let bytes = safetensors::serialize(tensors, Some(header))
        .map_err(|e| Error::io("write", path, std::io::Error::other(e.to_string())))?;
    write_whole(path, &bytes)
}

/// A model file that was read.
pub(super) struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    header: HashMap<String, String>,
}

/// The largest model and the largest law have fewer.
const MOST_BYTES: u64 = 1 << 34;

/// Reads a file and its header.
pub(super) fn open(path: &Path) -> Result<ModelFile> {
    let broken = |reason: String| Error::file(path, "model file", &reason);
    // a device or a pipe may never end
    let about = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(broken(format!("it is no file of up to {MOST_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
    let header = metadata.metadata().clone().ok_or_else(|| broken("its header does not name a model".to_owned()))?;
    Ok(ModelFile { path: path.to_owned(), bytes, header })
}

impl ModelFile {
    fn broken(&self, reason: String) -> Error {
        Error::file(&self.path, "model file", &reason)
    }

    /// The sizes, if the file holds a model of this kind.
    pub(super) fn config<T: DeserializeOwned>(&self, kind: &str) -> Result<T> {
        let found = self.header.get("model").map_or("nothing", String::as_str);
        if found != kind {
            return Err(self.broken(format!("it holds {found}, not {kind}")));
        }
        let config = self.header.get("config").map_or("", String::as_str);
        serde_json::from_str(config).map_err(|e| self.broken(format!("its sizes cannot be read: {e}")))
    }

    /// The law and the parameters of a model of these sizes, which are checked first.
    pub(super) fn state(&self, config: ModelConfig) -> Result<State> {
        let law = self.law()?;
        config.check(&law).map_err(|e| self.broken(e.to_string()))?;
        Ok(State::new(law, self.parameters(config.parameters())?))
    }

    /// One tensor's shape and values.
    fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| self.broken(e.to_string()))?;
        let tensor = tensors.tensor(name).map_err(|_| self.broken(format!("there is no tensor `{name}`")))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(self.broken(format!("`{name}` is {:?}, not F32", tensor.dtype())));
        }
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok((tensor.shape().to_vec(), values))
    }

    /// The law.
    fn law(&self) -> Result<Law> {
        let (shape, first) = self.floats("pi.0")?;
        let mut tables = vec![first];
        while let Ok((_, table)) = self.floats(&format!("pi.{}", tables.len())) {
            tables.push(table);
        }
        let n_vocab = shape.first().copied().unwrap_or(0);
        Law::new(n_vocab, tables).map_err(|e| self.broken(format!("its law: {e}")))
    }

    /// The parameters of `specs`, with their shapes checked.
    fn parameters(&self, specs: Vec<ParamSpec>) -> Result<Parameters> {
        let mut tensors = Vec::with_capacity(specs.len());
        for spec in &specs {
            let (shape, values) = self.floats(&spec.name)?;
            if shape != spec.shape {
                let reason = format!("`{}` has shape {shape:?}, but its sizes say {:?}", spec.name, spec.shape);
                return Err(self.broken(reason));
            }
            tensors.push(Tensor::from_slice(&values).view(&size(spec)[..]));
        }
        let params = Parameters::from_tensors(specs, tensors);
        params.check_finite().map_err(|e| self.broken(e.to_string()))?;
        Ok(params)
    }
}
