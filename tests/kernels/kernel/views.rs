//! Views of kernels and combinators that the library does not know.
#![allow(clippy::unwrap_used)]

use std::f64::consts::PI;

use approx::assert_relative_eq;
use mercer::algebra::terms;
use mercer::kernel::{AnyKernel, Kernel, OnSphere, Spectral, Structure, Variable, Views};
use mercer::kernels::Laplacian;
use mercer::params::{Constraint, Label, Parameter, Parameterized, Visitor, VisitorMut};
use mercer::prelude::*;
use mercer::testkit::views;
use mercer::views::{funk_hecke, spectral_density, spectral_density_vjp};

/// exp(−|x − y|/ℓ) in one dimension; on a sphere as if it were 1 + xᵀy.
#[derive(Clone, Debug)]
struct Decay {
    length: Parameter,
}
mercer::parameterized!(Decay as "decay", parameters: [length]);
mercer::kernel_ops!(Decay);

impl Expr for Decay {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().spectral(self).on_sphere(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::UpTo(1)).stationary()
    }
}

impl<T: Scalar> Kernel<T> for Decay {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        T::from_f64((-(x[0] - y[0]).as_f64().abs() / self.length.value()).exp())
    }
}

impl Spectral for Decay {
    fn density(&self, theta: &[Variable], frequency: &[Variable]) -> Option<Variable> {
        let scaled = theta[0] * frequency[0];
        Some(theta[0] * 2.0 / (scaled * scaled + 1.0))
    }
}

impl OnSphere for Decay {
    fn coefficients(&self, theta: &[Variable], _: usize, l_max: usize) -> Option<Vec<Variable>> {
        Some((0..=l_max).map(|l| theta[0] * (l as f64)).collect())
    }
}

/// The kernel of its child.
#[derive(Clone, Debug)]
struct Alias<K>(K);
mercer::kernel_ops!([K] Alias<K>);

impl<K: Parameterized> Parameterized for Alias<K> {
    fn name(&self) -> &str {
        "alias"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Only, &self.0);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Only, &mut self.0);
    }
}

impl<K: AnyKernel + Clone> Expr for Alias<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Same(self.0.node())
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Alias<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.0.pairwise(x, y)
    }
}

fn decay(length: f64) -> Decay {
    Decay { length: Parameter::new("length", length, Constraint::Positive).unwrap() }
}

#[test]
fn a_leaf_of_ones_own_keeps_its_views_in_any_composition() {
    let kernels: [DynKernel; 6] = [
        decay(0.7).dynamic(),
        (2.0 * Alias(decay(0.7))).dynamic(),
        (Alias(3.0 * decay(0.7).ard([0.4])) + White::new(0.2)).dynamic(),
        Alias(decay(0.7).stretch(0.4).on([0]) * Constant::new(2.0)).dynamic(),
        (decay(0.7).dynamic() + Alias(decay(1.9)).dynamic()).masked(mercer::combine::Missing::Isolate).dynamic(),
        decay(0.7).linear_map(mat![[-3.0]]).pow(1).dynamic(),
    ];
    for kernel in &kernels {
        assert!(spectral_density(kernel, &[0.3]).is_some(), "{kernel}");
        views::spectral(kernel, 1).unwrap();
        views::sum_of_terms(kernel, 1).unwrap();
    }
    let coefficients = funk_hecke(&(2.0 * Alias(decay(0.5)) + 1.0), 3, 2).unwrap();
    assert_relative_eq!(coefficients.as_slice(), [4.0 * PI, 1.0, 2.0].as_slice());
    assert_eq!(terms(&(2.0 * (decay(0.5) + Alias(decay(0.7)))), 1).unwrap().len(), 2);
}

#[test]
fn products_over_disjoint_columns_have_a_density_and_others_have_none() {
    let kernel = 2.0 * (decay(0.7).on([2]) * Alias(decay(0.4)).on([0]) * Rbf::new(1.3).on([1]));
    let frequency = [0.3, -0.8, 1.7];
    let expected = 2.0
        * spectral_density(&decay(0.4), &[0.3]).unwrap()
        * spectral_density(&Rbf::new(1.3), &[0.8]).unwrap()
        * spectral_density(&decay(0.7), &[1.7]).unwrap();
    assert_relative_eq!(spectral_density(&kernel, &frequency).unwrap(), expected, max_relative = 1e-14);
    views::spectral(&kernel.dynamic(), 3).unwrap();
    for none in [
        (decay(0.7) * decay(0.4)).dynamic(),
        (decay(0.7) + 1.0).dynamic(),
        Alias(decay(0.7)).exp().dynamic(),
        decay(0.7).log_warp(1.0).dynamic(),
    ] {
        assert!(spectral_density(&none, &[0.3]).is_none(), "{none}");
        let mut theta = vec![0.0; none.num_params()];
        spectral_density_vjp(&none, &[0.3], 1.0, &mut theta);
        assert!(theta.iter().all(|&entry| entry == 0.0));
    }
}

#[test]
fn weights_on_a_graph_follow_compositions() {
    let graph = Laplacian::from_edges(5, &[(0, 1, 1.0), (1, 2, 0.4), (2, 3, 1.7)]).unwrap();
    let heat = || GraphHeat::new(graph.clone(), 0.7);
    for kernel in [
        heat().on([0]).dynamic(),
        (3.0 * Alias(heat()) + 0.5 * heat().on([0]) + White::new(0.3)).dynamic(),
        (heat() * Constant::new(2.0) * 3.0).dynamic(),
    ] {
        assert!(mercer::views::graph_weights(&kernel, &graph).is_some(), "{kernel}");
        views::on_graph(&kernel, &graph).unwrap();
    }
}
