//! Kernels in files: their text.

use crate::params::ParameterizedExt;
use crate::save::{FromValue, Node, Place, Value};
use crate::{DynKernel, Error, Expr, Result};

/// Read back before it is written: a kernel that text does not know is refused now, not when it is needed.
impl Value for dyn Expr + '_ {
    fn node(&self) -> Result<Node> {
        let text = crate::kernel::text(self).to_string();
        let refused = |reason: String| Error::setting("the kernel to be saved", format!("`{text}`"), &reason);
        let read: DynKernel =
            text.parse().map_err(|error| refused(format!("must be one that its text gives back: {error}")))?;
        let listed = |kernel: &dyn Expr| -> Vec<(String, u64)> {
            kernel.parameters().into_iter().map(|entry| (entry.path, entry.value.to_bits())).collect()
        };
        if read.to_string() != text || listed(&read) != listed(self) {
            return Err(refused(format!("must be one that its text gives back, which is `{read}`")));
        }
        Ok(Node::Text(text))
    }
}

impl Value for DynKernel {
    fn node(&self) -> Result<Node> {
        (self as &dyn Expr).node()
    }
}

impl FromValue for DynKernel {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        String::from_place(place)?.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::algebra::registry::{Visitor, visit};
    use crate::kernel::AnyKernel;
    use crate::prelude::*;

    /// What models have is a fixed type, and what they load is a box that was made from text.
    #[test]
    fn text_gives_back_the_bits_of_every_kernel() {
        struct Check(usize);
        impl Visitor for Check {
            fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, fixed: K, boxed: DynKernel) {
                let Ok(Node::Text(text)) = (&fixed as &dyn Expr).node() else { panic!("{name} is refused") };
                let read: DynKernel = text.parse().unwrap();
                let dim = (1..5).find(|&dim| fixed.inputs(dim).is_ok()).unwrap();
                let entry =
                    |row: usize, col: usize| if dim == 1 { (row % 2) as f64 } else { ((row + 2 * col) % 3) as f64 };
                let index = Mat::from_fn(5, dim, |row, col| entry(row, col).min(1.0));
                let real = Mat::from_fn(5, dim, |row, col| 0.2 + 0.11 * row as f64 + 0.07 * (row * col) as f64);
                for x in [real, index] {
                    let (a, b, c) = (fixed.gram(x.as_ref()), boxed.gram(x.as_ref()), read.gram(x.as_ref()));
                    let bits = |gram: Result<Mat<f64>>| {
                        gram.map(|gram| {
                            gram.col_iter()
                                .flat_map(|col| col.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
                                .collect::<Vec<_>>()
                        })
                    };
                    let (a, b, c) = (bits(a), bits(b), bits(c));
                    assert_eq!(a, c, "{name}");
                    assert_eq!(a, b, "{name}");
                    self.0 += usize::from(a.is_ok());
                }
            }
        }
        let mut check = Check(0);
        visit(&mut check);
        assert!(check.0 > 150, "{}", check.0);
    }
}
