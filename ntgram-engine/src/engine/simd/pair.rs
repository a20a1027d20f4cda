//! Two vectors side by side.

use super::Lanes;

/// Two vectors as one of twice the width.
#[derive(Clone, Copy)]
pub(super) struct Pair<V>(V, V);

impl<V: Lanes> Lanes for Pair<V> {
    const LANES: usize = 2 * V::LANES;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(V::splat(x), V::splat(x))
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..2 * V::LANES];
        Self(V::load(from), V::load(&from[V::LANES..]))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..2 * V::LANES];
        self.0.store(to);
        self.1.store(&mut to[V::LANES..]);
    }
    #[inline(always)]
    fn load_some(from: &[f32]) -> Self {
        let (a, b) = from.split_at(from.len().min(V::LANES));
        Self(V::load_some(a), V::load_some(b))
    }
    #[inline(always)]
    fn store_some(self, to: &mut [f32]) {
        let (a, b) = to.split_at_mut(to.len().min(V::LANES));
        self.0.store_some(a);
        self.1.store_some(b);
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0.sub(other.0), self.1.sub(other.1))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0.mul(other.0), self.1.mul(other.1))
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(self.0.div(other.0), self.1.div(other.1))
    }
    #[inline(always)]
    fn fma(self, factor: Self, term: Self) -> Self {
        Self(self.0.fma(factor.0, term.0), self.1.fma(factor.1, term.1))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0), self.1.max(other.1))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt(), self.1.sqrt())
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.round(), self.1.round())
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        Self(self.0.scale(n.0), self.1.scale(n.1))
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        let (a, b) = (self, other);
        Self(a.0.where_greater(b.0, yes.0, no.0), a.1.where_greater(b.1, yes.1, no.1))
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let ((e0, m0), (e1, m1)) = (self.0.split(), self.1.split());
        (Self(e0, e1), Self(m0, m1))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.0.add(self.1).sum()
    }
}
