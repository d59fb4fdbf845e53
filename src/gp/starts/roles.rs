//! What the parameters of a model are, by where they are.

use faer::MatRef;

use crate::Scalar;
use crate::gp::units::spread;
use crate::params::{Constraint, Label, ParameterRef, Parameterized, ParameterizedExt, Shape, Visitor};

/// The variance of each column, as a unit.
pub(in crate::gp) fn variances<T: Scalar>(y: MatRef<'_, T>) -> Vec<f64> {
    y.col_iter().map(|column| spread(column.iter().copied()).powi(2)).collect()
}

/// Of all scalars of a model, the variance of the output for those that are its noise, and 0 for others; none if there are none.
/// One for several outputs has the least of theirs.
pub(in crate::gp) fn noise_units(model: &dyn Parameterized, variances: &[f64]) -> Vec<f64> {
    let mut roles = roles(model);
    let is_noise = |role: &Role| match role.part {
        "likelihood" => role.name == "variance",
        "noise" => ["variance", "diagonal"].contains(&role.name.as_str()),
        _ => false,
    };
    roles.retain(|role| role.positive && is_noise(role));
    let (count, least) =
        (roles.iter().map(|role| role.len).sum::<usize>(), variances.iter().copied().fold(f64::INFINITY, f64::min));
    if count == 0 || variances.is_empty() {
        return Vec::new();
    }
    let mut units = vec![0.0; model.num_params()];
    let each = roles.iter().flat_map(|role| role.position..role.position + role.len);
    for (output, position) in each.enumerate() {
        units[position] = if count == variances.len() { variances[output] } else { least };
    }
    units
}

/// A parameter of a model, by where it is.
pub(super) struct Role {
    /// The part of the model that it belongs to.
    pub(super) part: &'static str,
    pub(super) name: String,
    pub(super) position: usize,
    pub(super) len: usize,
    pub(super) positive: bool,
}

pub(super) fn roles(model: &dyn Parameterized) -> Vec<Role> {
    struct Roles {
        found: Vec<Role>,
        part: Option<&'static str>,
        position: usize,
    }
    impl Visitor for Roles {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            let (position, len, part) = (self.position, parameter.shape().len(), self.part.unwrap_or(""));
            let positive = parameter.constraint() == Constraint::Positive;
            self.found.push(Role { part, name: parameter.name().to_owned(), position, len, positive });
            self.position += len;
        }

        fn child(&mut self, label: Label, child: &dyn Parameterized) {
            let outside = self.part;
            if let (None, Label::Part(part)) = (outside, label) {
                self.part = Some(part);
            }
            child.visit(self);
            self.part = outside;
        }
    }
    let mut roles = Roles { found: Vec::new(), part: None, position: 0 };
    model.visit(&mut roles);
    roles.found
}

/// The parameters of something that are not those of its parts: names, shapes, and the first position.
pub(super) fn own_parameters<P: Parameterized + ?Sized>(of: &P) -> Vec<(String, Shape, usize)> {
    struct Own {
        found: Vec<(String, Shape, usize)>,
        position: usize,
    }
    impl Visitor for Own {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            self.found.push((parameter.name().to_owned(), parameter.shape(), self.position));
            self.position += parameter.shape().len();
        }

        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            self.position += child.num_params();
        }
    }
    let mut own = Own { found: Vec::new(), position: 0 };
    of.visit(&mut own);
    own.found
}
