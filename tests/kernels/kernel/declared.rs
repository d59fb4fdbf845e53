//! Kernels that are declared, from the public interface alone.

use mercer::Error;
use mercer::algebra::register;
use mercer::kernels::{Profile, Radial};
use mercer::params::PerDimension;
use mercer::prelude::*;
use mercer::simd::Lanes;

fn check_exponent(exponent: u32) -> mercer::Result<()> {
    if exponent > 0 {
        return Ok(());
    }
    let (name, expected) = ("the exponent".to_owned(), "must be at least 1".to_owned());
    Err(Error::Setting { name, found: exponent.to_string(), expected })
}

mercer::kernel! {
    /// a (1 + s)⁻ⁿ + Σ b, with a below n.
    Tails as "tails" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The exponent n.
        setting exponent: u32,
        /// The height a.
        height: Scalar = Interval { lower: 0.0, upper: f64::from(exponent) },
        /// The floors b.
        floors: List = BySign,
        state calls: u8,
    }
    check = check_exponent;
}

impl Expr for Tails {
    fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings()
    }
}

impl<T: Scalar> Kernel<T> for Tails {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        assert_eq!(self.calls, 0);
        let term = |(dim, (&x, &y)): (usize, (&T, &T))| {
            let scaled = (x - y) / T::from_f64(self.lengthscale.at(dim));
            scaled * scaled
        };
        let s: T = x.iter().zip(y).enumerate().map(term).sum();
        let floor: f64 = self.floors().iter().sum();
        let power = (T::from_f64(1.0) + s).powi(-(self.exponent() as i32));
        T::from_f64(self.height()) * power + T::from_f64(floor)
    }
}

#[test]
fn arguments_stand_in_the_order_of_the_declaration() {
    let kernel = Tails::new([1.0, 2.0], 2, 0.8, [0.1, 0.2]);
    assert_eq!((kernel.lengthscale(), kernel.exponent(), kernel.height()), ([1.0, 2.0].as_slice(), 2, 0.8));
    let value: f64 = kernel.eval(&[0.0, 0.0], &[1.0, 0.0]).unwrap();
    assert!((value - 0.5).abs() < 1e-15);
    assert_eq!(kernel.get("tails.floors[1]").unwrap(), 0.2);
    assert_eq!(kernel, Tails::try_new(vec![1.0, 2.0], 2, 0.8, vec![0.1, 0.2]).unwrap());
}

#[test]
fn settings_are_checked_and_in_scope_of_constraints() {
    let message = |kernel: mercer::Result<Tails>| kernel.unwrap_err().to_string();
    assert_eq!(message(Tails::try_new(1.0, 0, 0.8, [0.1])), "the exponent is 0, but must be at least 1");
    assert_eq!(
        message(Tails::try_new(1.0, 1, 1.8, [0.1])),
        "parameter `height` was given 1.8, but must be between 0 and 1"
    );
    assert!(Tails::try_new(1.0, 2, 1.8, [0.1]).is_ok());
    assert_eq!(
        message(Tails::try_new(1.0, 2, 0.8, [])),
        "the list of floors is empty; at least one row and one column are needed"
    );
}

#[test]
#[should_panic = "parameter `lengthscale` was given -1, but must be positive and finite"]
fn new_panics_with_the_sentence_of_the_error() {
    let _ = Tails::new(-1.0, 2, 0.8, [0.1]);
}

#[test]
fn coefficients_by_sign_stay_positive_if_they_start_so() {
    let mut kernel = Tails::new(1.0, 2, 0.8, [0.1, 0.2]);
    assert!(kernel.set("tails.floors[0]", -0.1).is_err());
    let mut kernel = Tails::new(1.0, 2, 0.8, [0.1, -0.2]);
    assert!(kernel.set("tails.floors[0]", -0.1).is_ok());
}

#[test]
fn text_makes_what_it_writes() {
    register::<Tails>("tails").unwrap();
    let kernel = 2 * Tails::new([1.0, 2.0], 3, 0.8, [0.1]);
    let written = kernel.to_string();
    assert_eq!(written, "2 * tails(exponent=3, lengthscale=[1, 2], height=0.8, floors=[0.1])");
    let read: DynKernel = written.parse().unwrap();
    let by_place: DynKernel = "2 * tails([1, 2], 3, 0.8, [0.1])".parse().unwrap();
    let values = [&kernel.dynamic(), &read, &by_place].map(|k| -> f64 { k.eval(&[0.3, 1.0], &[0.1, 0.2]).unwrap() });
    assert_eq!(values, [values[0]; 3]);
}

mercer::kernel! {
    Plain as "plain" {
        lengthscale: PerDimension = Softplus,
    }
}

#[derive(Clone, Copy)]
struct PlainProfile;

impl<T: Scalar> Profile<T> for PlainProfile {
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (s + 1.0).recip()
    }

    fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
        -value * value
    }
}

impl Radial for Plain {
    type Profile<T: Scalar> = PlainProfile;

    fn lengthscale(&self) -> &PerDimension {
        &self.lengthscale
    }

    fn profile<T: Scalar>(&self) -> PlainProfile {
        PlainProfile
    }
}

#[test]
fn a_declared_radial_kernel_is_a_whole_kernel() {
    mercer::testkit::conforms(&Plain::new([0.7, 1.2]).dynamic(), 2).unwrap();
}
