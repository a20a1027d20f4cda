//! The two losses of the notebook and its accuracy, as tensor expressions.

use tch::{Kind, Tensor};

use super::Loss;
use crate::data::Data;
use crate::models::last_table;

/// What is scored: positions `n-2 … S-2`, each predicting the next token.
pub(super) struct Scored {
    first: i64,
    count: i64,
    order: i64,
    n_vocab: i64,
    /// The law's last table `(N^(n-1), N)`, for the full divergence only.
    table: Option<Tensor>,
}

impl Scored {
    pub(super) fn new(law: &crate::laws::Law, data: &Data, loss: Loss, device: tch::Device) -> Self {
        let order = law.order() as i64;
        let first = (order - 2).max(0);
        Self {
            first,
            count: data.context_window() as i64 - 1 - first,
            order,
            n_vocab: law.n_vocab() as i64,
            table: (loss == Loss::FullDivergence).then(|| last_table(law).to_device(device)),
        }
    }

    /// Loss in nats, before the law's entropy is taken off, and accuracy; for `logits (B, S, N)`, `tokens (B, S)`.
    ///
    /// With `p = softmax(logits) + 1e-12` at the scored positions: the cross-entropy of `log p`, renormalised, with the next
    /// token; or, for the full divergence, the mean of `−Σ_k π[context, k] log p_k`.
    pub(super) fn loss_and_accuracy(&self, logits: &Tensor, tokens: &Tensor) -> (Tensor, Tensor) {
        let logits = logits.narrow(1, self.first, self.count); // (B, count, N)
        let targets = tokens.narrow(1, self.first + 1, self.count); // (B, count)
        let log_p = (logits.softmax(-1, None) + 1e-12).log();
        let loss = match &self.table {
            None => {
                let log_p = log_p.reshape([-1, self.n_vocab]).log_softmax(-1, None);
                log_p.nll_loss(&targets.reshape([-1]))
            }
            Some(table) => {
                let pi = table.to_kind(logits.kind()).index_select(0, &self.law_rows(tokens).reshape([-1]));
                -(pi * log_p.reshape([-1, self.n_vocab])).sum_dim_intlist(-1, false, None).mean(None)
            }
        };
        let accuracy =
            tch::no_grad(|| logits.argmax(-1, false).eq_tensor(&targets).to_kind(Kind::Float).mean(Kind::Float));
        (loss, accuracy)
    }

    /// Row of the law's last table for each scored position, `(B, count)`: the oldest token slowest.
    fn law_rows(&self, tokens: &Tensor) -> Tensor {
        let mut row = Tensor::zeros([tokens.size()[0], self.count], (Kind::Int64, tokens.device()));
        for j in 0..self.order - 1 {
            // token of the context that starts n-2 before each scored position
            row = row * self.n_vocab + tokens.narrow(1, self.first - (self.order - 2) + j, self.count);
        }
        row
    }
}
