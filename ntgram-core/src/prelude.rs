//! Everything a notebook needs: `use ntgram_core::prelude::*;`.

pub use crate::data::{Data, generate_data, sample_data};
pub use crate::error::{Error, Result};
pub use crate::exercise::{Verdict, check};
pub use crate::figures::{attention_heatmap, by_attention, diverging_heatmap, every_attention, heatmap, plane, solid};
pub use crate::interp::{
    Attribution, Balanced, Method, Superposition, Svd, alignment, attention_map, back_track, balanced,
    best_wrong_cosine, context_logits, cosine_similarity, divergence, exact_attention_map, full_ov_circuit,
    full_qk_circuit, gather_w_o, gram, layer_norm, least_squares_fit, most_opposite, new_computation_basis, ov_circuit,
    projector, projector_distance, qk_circuit, rank_d_part, right_tokens, second_order_optimum, superposition, svd,
    svdvals, told_apart,
};
pub use crate::interrupt::interrupted;
pub use crate::laws::{
    AlmostRankOptions, DirectionsOptions, Law, Sequences, almost_rank_d, entropy, first_position_law, gen_d_law,
    generate_each, last_position_law, power_unif_law,
};
pub use crate::models::{
    Activations, Freeze, LowRank, LowRankConfig, Model, ModelConfig, Norm, Skips, Transformer, TransformerConfig,
};
pub use crate::notebook::{Page, Show, explore, show};
pub use crate::plot::{
    BarChart, Color, Figure, Heatmap, LinePlot, Marker, Panel, Plane, Slider, Solid, display_heatmaps,
};
pub use crate::rng::TorchRng;
pub use crate::statistics::{
    FitBand, LineFit, PowerLawFit, least, line_fit, line_fit_weighted, mean, most, power_law_fit,
    power_law_fit_weighted, standard_error,
};
pub use crate::sweep::{Plan, Sweep, sweep, sweep_to};
pub use crate::table::{Row, Table, df, row};
pub use crate::tensors::{NamedTensors, RandomTensor, ToTensor, values};
pub use crate::toy::{Company, Toy, ToyConfig, ToyOptions, train_toys};
pub use crate::train::{
    Engine, History, Loss, Schedule, Snapshot, Snapshots, TrainOptions, Training, stream_words, train, train_all,
    train_each, train_lot,
};
pub use tch::{Device, Kind, Tensor};
