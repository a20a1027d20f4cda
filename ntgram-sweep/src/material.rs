//! Laws and data, made once for all the tasks that share them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ntgram_engine::Result;
use ntgram_engine::data::{Data, generate_data};
use ntgram_engine::laws::power_unif_law;
use ntgram_engine::rng::TorchRng;

use crate::training::{DataSpec, LawSpec, Training, digest};

/// What a training learns from.
pub(crate) struct Material {
    pub data: Data,
    /// PyTorch's generator where the data's draws end.
    pub after: TorchRng,
}

impl Material {
    fn new(law: &LawSpec, data: &DataSpec) -> Result<Self> {
        let LawSpec::PowerUnif { n_vocab, alphas, nb_tokens, seed } = law;
        let mut after = TorchRng::new(*seed);
        let law = power_unif_law(alphas, nb_tokens, *n_vocab, &mut after)?;
        if let Some(seed) = data.seed {
            after = TorchRng::new(seed);
        }
        let data = generate_data(data.batch_size, data.num_batch, &law, data.context_window, &mut after)?;
        Ok(Self { data, after })
    }
}

type Place = Arc<Mutex<Option<Arc<Material>>>>;

/// The materials of the last tasks. They can be large, so only `most` of them are kept.
pub(crate) struct Materials {
    most: usize,
    kept: Mutex<VecDeque<(String, Place)>>,
}

impl Materials {
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// The material of a training: one that is kept, or a new one. Who asks for one that is being made waits for it.
    pub fn of(&self, training: &Training) -> Result<Arc<Material>> {
        let about = serde_json::to_vec(&(&training.law, &training.data)).expect("plain numbers have a JSON");
        let place = self.place(digest(&about));
        let mut made = place.lock().expect("making material does not panic");
        if let Some(material) = &*made {
            return Ok(material.clone());
        }
        let material = Arc::new(Material::new(&training.law, &training.data)?);
        *made = Some(material.clone());
        Ok(material)
    }

    fn place(&self, key: String) -> Place {
        let mut kept = self.kept.lock().expect("looking something up does not panic");
        if let Some((_, place)) = kept.iter().find(|(known, _)| *known == key) {
            return place.clone();
        }
        if kept.len() == self.most {
            kept.pop_front();
        }
        let place = Place::default();
        kept.push_back((key, place.clone()));
        place
    }
}
