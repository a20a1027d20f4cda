//! Which terms of the forward pass a Transformer leaves out.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Terms of the forward pass that are left out (`true` = left out), as in the original's `skips`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Skips {
    /// Leave out the residual connection around the attention.
    #[serde(alias = "skip_res_connection")]
    #[doc(alias = "skip_res_connection")]
    pub res_connection: bool,
    /// Leave the positional embedding out of queries and keys.
    #[serde(alias = "skip_pos_qk")]
    #[doc(alias = "skip_pos_qk")]
    pub pos_qk: bool,
    /// Leave the token's residual stream out of queries and keys.
    #[serde(alias = "skip_emb_qk")]
    #[doc(alias = "skip_emb_qk")]
    pub emb_qk: bool,
    /// Leave the positional embedding out of values.
    #[serde(alias = "skip_pos_ov")]
    #[doc(alias = "skip_pos_ov")]
    pub pos_ov: bool,
    /// Leave the token's residual stream out of values.
    #[serde(alias = "skip_emb_ov")]
    #[doc(alias = "skip_emb_ov")]
    pub emb_ov: bool,
}

impl Skips {
    /// The 18 mixes that leave both the QK and the OV circuit something to work on, in the order of the original's nested loops (the
    /// residual connection outermost).
    pub fn all_meaningful() -> Vec<Skips> {
        (0..32u8)
            .map(|bits| {
                let bit = |k: u8| bits >> (4 - k) & 1 == 1;
                Skips { res_connection: bit(0), pos_qk: bit(1), emb_qk: bit(2), pos_ov: bit(3), emb_ov: bit(4) }
            })
            .filter(|s| s.check().is_ok())
            .collect()
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (skipped, circuit) in
            [(self.pos_qk && self.emb_qk, "pos_qk and emb_qk"), (self.pos_ov && self.emb_ov, "pos_ov and emb_ov")]
        {
            if skipped {
                let expected = format!("at most one of {circuit} may be true: the circuit needs an input");
                return Err(Error::argument("skips", format!("{self:?}"), expected));
            }
        }
        Ok(())
    }
}
