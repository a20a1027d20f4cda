//! Values of the language: as `{:?}` prints them. Without these the kernel would compile a cell a second time to print one.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use tch::{Device, Kind};

use super::{Show, Shown};
use crate::error::Result;
use crate::listing::CUT;

/// `{:?}` for these types.
macro_rules! show_as_debug {
    ($([$($parameter:ident),*] $type:ty),* $(,)?) => {$(
        impl<$($parameter: Debug),*> Show for $type {
            fn shown(&self) -> Result<Shown> {
                Ok(Shown::value(format!("{self:?}")))
            }
        }
    )*};
}
show_as_debug!(
    [] bool, [] char, [] u8, [] u16, [] u32, [] u64, [] usize, [] i8, [] i16, [] i32, [] i64, [] isize, [] f32, [] f64,
    [] str, [] String, [] Duration, [] Kind, [] Device,
    [T] Option<T>, [K, V] HashMap<K, V>, [K, V] BTreeMap<K, V>,
    [A, B] (A, B), [A, B, C] (A, B, C), [A, B, C, D] (A, B, C, D),
);

/// Values of a list before it is cut in the middle.
const SHOWN: usize = 200;

/// As `{:?}` prints it; of a long list its ends and its length.
impl<T: Debug> Show for [T] {
    fn shown(&self) -> Result<Shown> {
        if self.len() <= SHOWN {
            return Ok(Shown::value(format!("{self:?}")));
        }
        let part = |values: &[T]| format!("{values:?}").trim_matches(['[', ']']).to_owned();
        let (first, last) = (part(&self[..SHOWN / 20]), part(&self[self.len() - SHOWN / 20..]));
        Ok(Shown::value(format!("[{first}, {CUT}, {last}] ({} values)", self.len())))
    }
}

impl<T: Debug> Show for Vec<T> {
    fn shown(&self) -> Result<Shown> {
        self[..].shown()
    }
}

impl<T: Debug, const N: usize> Show for [T; N] {
    fn shown(&self) -> Result<Shown> {
        self[..].shown()
    }
}

/// Nothing: a loop, a block or a call that returns nothing.
impl Show for () {
    fn shown(&self) -> Result<Shown> {
        Ok(Shown::nothing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_show_as_they_print() {
        assert_eq!([1.5, 2.0].shown().unwrap().text(), "[1.5, 2.0]");
        assert_eq!((1, "a").shown().unwrap().text(), "(1, \"a\")");
        assert_eq!(String::from("a").shown().unwrap().text(), "\"a\"");
        assert_eq!(Some(Kind::Float).shown().unwrap().text(), "Some(Float)");
        assert_eq!("a".shown().unwrap().text(), "\"a\"");
        assert_eq!(().shown().unwrap(), Shown::nothing());
    }

    #[test]
    fn long_lists_show_their_ends_and_their_length() {
        let list: Vec<usize> = (0..5000).collect();
        let text = list.shown().unwrap().text();
        assert!(text.starts_with("[0, 1, 2, ") && text.ends_with(", 4998, 4999] (5000 values)"), "{text}");
        assert!(text.contains("9, ⋯, 4990"), "{text}");
        assert_eq!(list[..200].shown().unwrap().text(), format!("{:?}", &list[..200]));
    }
}
