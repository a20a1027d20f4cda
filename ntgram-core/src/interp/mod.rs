//! What a trained model does: attention maps, direct logit attribution, the unembedding's basis, QK and OV circuits, closed-form
//! optima, subspaces, superposition. Everything returns numbers; [`figures`](crate::figures) draws them.

mod attention;
mod attribution;
mod balanced;
mod basis;
mod circuits;
mod contexts;
mod linear;
mod optimum;
mod superposition;

pub use crate::models::divergence;
pub use attention::{attention_map, exact_attention_map};
pub use attribution::{Attribution, Method, back_track};
pub use balanced::{Balanced, balanced};
pub use basis::{UnembeddingBasis, new_computation_basis};
pub use circuits::{full_ov_circuit, full_qk_circuit, gather_w_o, ov_circuit, qk_circuit};
pub use contexts::{best_wrong_cosine, context_logits, most_opposite, right_tokens, told_apart};
pub use linear::{
    Svd, alignment, cosine_similarity, gram, layer_norm, projector, projector_distance, rank_d_part, svd, svdvals,
};
pub use optimum::{least_squares_fit, second_order_optimum};
pub use superposition::{Superposition, superposition};
