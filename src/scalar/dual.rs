//! Numbers with their partial derivatives.

use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use num_traits::Float;

use super::{Real, Scalar};

/// A number with its partial derivatives in `N` variables: forward-mode differentiation of formulas
/// that are written over [`Real`].
///
/// With N = 0 it is a number of type `T` and no more: the form in which formulas are evaluated in
/// `f32`, to which the language does not let this crate add an `f64`.
///
/// Comparisons look at values alone. What derivatives are where there are none: see [`Real`].
///
/// # Examples
///
/// ```
/// use mercer::{Dual, Real};
///
/// let (x, y) = (Dual::<f64, 2>::variable(3.0, 0), Dual::variable(4.0, 1));
/// let f = x * x * y + 1.0;
/// assert_eq!(f.value, 37.0);
/// assert_eq!(f.partials, [24.0, 9.0]);
/// ```
///
/// # References
///
/// Griewank & Walther (2008), *Evaluating Derivatives*, section 3.1.
#[derive(Clone, Copy, Debug)]
pub struct Dual<T, const N: usize> {
    /// The number.
    pub value: T,
    /// Its derivatives in each of the variables.
    pub partials: [T; N],
}

/// a · b, with 0 · ∞ = 0: a derivative that is 0 stays so, whatever grows around it.
#[inline(always)]
pub(crate) fn times<T: Scalar>(a: T, b: T) -> T {
    let product = a * b;
    if Float::is_nan(product) && !Float::is_nan(a) && !Float::is_nan(b) { T::from_f64(0.0) } else { product }
}

/// A slope, or 0 where it is infinite.
#[inline(always)]
fn finite_or_zero<T: Scalar>(slope: T) -> T {
    if Float::is_infinite(slope) { T::from_f64(0.0) } else { slope }
}

impl<T: Scalar, const N: usize> Dual<T, N> {
    /// A number that depends on no variable.
    #[inline]
    pub fn constant(value: T) -> Self {
        Self { value, partials: [T::from_f64(0.0); N] }
    }

    /// The variable of this index.
    ///
    /// # Panics
    ///
    /// If there are not so many variables.
    #[inline]
    #[track_caller]
    pub fn variable(value: T, index: usize) -> Self {
        let mut variable = Self::constant(value);
        variable.partials[index] = T::from_f64(1.0);
        variable
    }

    /// The value of a function, given numbers that it depends on and its derivative in each.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Dual;
    ///
    /// let (x, y) = (Dual::<f64, 2>::variable(3.0, 0), Dual::variable(4.0, 1));
    /// assert_eq!(Dual::with_slopes(12.0, [(&x, 4.0), (&y, 3.0)]).partials, [4.0, 3.0]);
    /// ```
    pub fn with_slopes<'n>(value: T, of: impl IntoIterator<Item = (&'n Self, T)>) -> Self {
        let mut number = Self::constant(value);
        for (variable, slope) in of {
            for (sum, &partial) in number.partials.iter_mut().zip(&variable.partials) {
                *sum += times(slope, partial);
            }
        }
        number
    }

    /// f(self), given f and its derivative at the value.
    #[inline(always)]
    fn chain(self, value: T, slope: T) -> Self {
        Self { value, partials: self.partials.map(|partial| times(slope, partial)) }
    }

    /// f(self, other), given f and its derivatives at the values.
    #[inline(always)]
    fn chain_two(self, other: Self, value: T, slope: T, other_slope: T) -> Self {
        let mut partials = self.partials;
        for (partial, other) in partials.iter_mut().zip(other.partials) {
            *partial = times(slope, *partial) + times(other_slope, other);
        }
        Self { value, partials }
    }

    /// The one of two numbers that is first in an order; their mean, in derivatives, if they are equal.
    #[inline(always)]
    fn choose(self, other: Self, first: Ordering) -> Self {
        let half = T::from_f64(0.5);
        match self.value.partial_cmp(&other.value) {
            Some(Ordering::Equal) => self.chain_two(other, self.value, half, half),
            Some(order) if order == first => self,
            Some(_) => other,
            None => self + other,
        }
    }
}

impl<T: Scalar, const N: usize> PartialEq for Dual<T, N> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Scalar, const N: usize> PartialOrd for Dual<T, N> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Scalar, const N: usize> PartialEq<f64> for Dual<T, N> {
    #[inline]
    fn eq(&self, other: &f64) -> bool {
        self.value.as_f64() == *other
    }
}

impl<T: Scalar, const N: usize> PartialOrd<f64> for Dual<T, N> {
    #[inline]
    fn partial_cmp(&self, other: &f64) -> Option<Ordering> {
        self.value.as_f64().partial_cmp(other)
    }
}

impl<T: Scalar, const N: usize> Neg for Dual<T, N> {
    type Output = Self;

    #[inline]
    fn neg(self) -> Self {
        Self { value: -self.value, partials: self.partials.map(|partial| -partial) }
    }
}

/// An operator with another number: its value and both slopes, from both values.
macro_rules! operator {
    ($trait:ident, $function:ident, $assign:ident, $assign_function:ident, |$a:ident, $b:ident| $value:expr, $in_a:expr, $in_b:expr) => {
        impl<T: Scalar, const N: usize> $trait for Dual<T, N> {
            type Output = Self;

            #[inline]
            fn $function(self, other: Self) -> Self {
                let ($a, $b) = (self.value, other.value);
                self.chain_two(other, $value, $in_a, $in_b)
            }
        }

        impl<T: Scalar, const N: usize> $trait<f64> for Dual<T, N> {
            type Output = Self;

            #[inline]
            fn $function(self, other: f64) -> Self {
                let ($a, $b) = (self.value, T::from_f64(other));
                self.chain($value, $in_a)
            }
        }

        impl<T: Scalar, const N: usize> $assign for Dual<T, N> {
            #[inline]
            fn $assign_function(&mut self, other: Self) {
                *self = $trait::$function(*self, other);
            }
        }

        impl<T: Scalar, const N: usize> $assign<f64> for Dual<T, N> {
            #[inline]
            fn $assign_function(&mut self, other: f64) {
                *self = $trait::$function(*self, other);
            }
        }
    };
}

operator!(Add, add, AddAssign, add_assign, |a, b| a + b, T::from_f64(1.0), T::from_f64(1.0));
operator!(Sub, sub, SubAssign, sub_assign, |a, b| a - b, T::from_f64(1.0), T::from_f64(-1.0));
operator!(Mul, mul, MulAssign, mul_assign, |a, b| a * b, b, a);
operator!(Div, div, DivAssign, div_assign, |a, b| a / b, Float::recip(b), -(a / b) / b);

impl<T: Scalar, const N: usize> Sum for Dual<T, N> {
    #[inline]
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::constant(T::from_f64(0.0)), |sum, term| sum + term)
    }
}

/// Functions of one number: the value f, and the slope, from the number x and f.
macro_rules! functions {
    ($($function:ident: |$x:ident, $f:ident| $slope:expr;)*) => {
        $(
            #[inline]
            fn $function(self) -> Self {
                let $x = self.value;
                let $f = Float::$function($x);
                let _ = $f;
                self.chain($f, $slope)
            }
        )*
    };
}

impl<T: Scalar, const N: usize> Real for Dual<T, N> {
    #[inline]
    fn from_f64(value: f64) -> Self {
        Self::constant(T::from_f64(value))
    }

    #[inline]
    fn value(self) -> f64 {
        self.value.as_f64()
    }

    functions! {
        exp: |x, f| f;
        exp_m1: |x, f| Float::exp(x);
        ln: |x, f| Float::recip(x);
        ln_1p: |x, f| Float::recip(x + T::from_f64(1.0));
        sqrt: |x, f| finite_or_zero(T::from_f64(0.5) / f);
        sin: |x, f| Float::cos(x);
        cos: |x, f| -Float::sin(x);
        tan: |x, f| f * f + T::from_f64(1.0);
        asin: |x, f| arc_slope(x);
        acos: |x, f| -arc_slope(x);
        atan: |x, f| Float::recip(x * x + T::from_f64(1.0));
        sinh: |x, f| Float::cosh(x);
        cosh: |x, f| Float::sinh(x);
        // Not 1 − f², which cancels far out.
        tanh: |x, f| { let cosh = Float::cosh(x); Float::recip(cosh * cosh) };
        abs: |x, f| if x == T::from_f64(0.0) { x } else { Float::signum(x) };
        recip: |x, f| -(f * f);
    }

    #[inline]
    fn erf(self) -> Self {
        let x = self.value;
        let slope = Float::exp(-(x * x)) * T::from_f64(std::f64::consts::FRAC_2_SQRT_PI);
        self.chain(T::from_f64(libm::erf(x.as_f64())), slope)
    }

    #[inline]
    fn powi(self, exponent: i32) -> Self {
        let slope = match exponent {
            0 => T::from_f64(0.0),
            _ => T::from_f64(exponent.into()) * Float::powi(self.value, exponent.saturating_sub(1)),
        };
        self.chain(Float::powi(self.value, exponent), slope)
    }

    #[inline]
    fn powf(self, exponent: Self) -> Self {
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        let (x, a) = (self.value, exponent.value);
        let f = Float::powf(x, a);
        let slope = times(a, Float::powf(x, a - one));
        let slope = if x == zero { finite_or_zero(slope) } else { slope };
        let in_exponent = if x <= zero && !Float::is_nan(f) { zero } else { times(f, Float::ln(x)) };
        self.chain_two(exponent, f, slope, in_exponent)
    }

    #[inline]
    fn atan2(self, x: Self) -> Self {
        let (a, b) = (self.value, x.value);
        let distance = Float::hypot(a, b);
        let over = |part: T| if distance == T::from_f64(0.0) { distance } else { part / distance / distance };
        self.chain_two(x, Float::atan2(a, b), over(b), -over(a))
    }

    #[inline]
    fn hypot(self, other: Self) -> Self {
        let f = Float::hypot(self.value, other.value);
        let over = |part: T| if f == T::from_f64(0.0) { f } else { part / f };
        self.chain_two(other, f, over(self.value), over(other.value))
    }

    #[inline]
    fn min(self, other: Self) -> Self {
        self.choose(other, Ordering::Less)
    }

    #[inline]
    fn max(self, other: Self) -> Self {
        self.choose(other, Ordering::Greater)
    }
}

/// The derivative of the arc sine.
#[inline(always)]
fn arc_slope<T: Scalar>(x: T) -> T {
    let one = T::from_f64(1.0);
    finite_or_zero(Float::recip(Float::sqrt((one - x) * (one + x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    fn at(x: f64) -> Dual<f64, 1> {
        Dual::variable(x, 0)
    }

    /// A function of one number against its values in `f64` and a central difference of fourth order:
    /// h⁴ f⁽⁵⁾/30 is below 1e-11 for the functions here, and so is the rounding error, 2 ε f/h.
    fn differentiates(name: &str, x: f64, f: impl Fn(f64) -> f64, dual: Dual<f64, 1>) {
        let h = 1e-4;
        let expected = (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h);
        let found = dual.partials[0];
        assert_eq!(dual.value, f(x), "{name} at {x}");
        assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{name} at {x}: {found}, not {expected}");
    }

    #[test]
    fn functions_of_one_number() {
        macro_rules! check {
            ($($function:ident at [$($x:expr),*];)*) => {
                $($(differentiates(stringify!($function), $x, Real::$function, at($x).$function());)*)*
            };
        }
        check! {
            exp at [-3.0, 0.0, 1.5];
            exp_m1 at [-3.0, 0.0, 1.5];
            ln at [0.3, 1.0, 7.0];
            ln_1p at [-0.5, 0.0, 3.0];
            sqrt at [0.4, 1.0, 9.0];
            sin at [-2.0, 0.0, 1.0];
            cos at [-2.0, 0.0, 1.0];
            tan at [-1.0, 0.0, 0.7];
            asin at [-0.6, 0.0, 0.5];
            acos at [-0.6, 0.0, 0.5];
            atan at [-3.0, 0.0, 0.8];
            sinh at [-2.0, 0.0, 1.0];
            cosh at [-2.0, 0.0, 1.0];
            tanh at [-2.0, 0.0, 1.0, 20.0];
            erf at [-1.5, 0.0, 0.4];
            abs at [-2.0, 3.0];
            recip at [-2.0, 0.6];
        }
        for exponent in [-3, -1, 0, 1, 2, 5] {
            differentiates("powi", -1.3, |x| x.powi(exponent), at(-1.3).powi(exponent));
        }
        // The derivative of tanh survives where 1 − tanh² is 0.
        let slope = at(25.0).tanh().partials[0];
        assert!((slope / (4.0 * (-50.0f64).exp()) - 1.0).abs() < 1e-14, "{slope}");
    }

    #[test]
    fn functions_of_two_numbers() {
        type Function = (&'static str, fn(f64, f64) -> f64, fn(Dual<f64, 1>, Dual<f64, 1>) -> Dual<f64, 1>);
        let functions: [Function; 9] = [
            ("+", |a, b| a + b, |a, b| a + b),
            ("-", |a, b| a - b, |a, b| a - b),
            ("*", |a, b| a * b, |a, b| a * b),
            ("/", |a, b| a / b, |a, b| a / b),
            ("powf", f64::powf, Real::powf),
            ("atan2", f64::atan2, Real::atan2),
            ("hypot", f64::hypot, Real::hypot),
            ("min", Real::min, Real::min),
            ("max", Real::max, Real::max),
        ];
        for (name, plain, dual) in functions {
            for (a, b) in [(0.7, 1.9), (2.5, -0.8), (1.3, 0.4)] {
                differentiates(name, a, |a| plain(a, b), dual(at(a), Dual::constant(b)));
                differentiates(name, b, |b| plain(a, b), dual(Dual::constant(a), at(b)));
                // Both at once.
                differentiates(name, 0.0, |t| plain(a + t, b + 2.0 * t), dual(at(0.0) + a, at(0.0) * 2.0 + b));
            }
        }
    }

    #[test]
    fn numbers_on_the_right_are_constants() {
        let x = at(3.0);
        let mut assigned = x;
        assigned += 1.0;
        assigned -= 3.0;
        assigned *= 4.0;
        assigned /= 8.0;
        assigned += x;
        assigned -= x * x;
        assigned *= x;
        assigned /= x + 1.0;
        // ((x − 2)/2 + x − x²) x/(x + 1), by hand.
        let f = |x: f64| ((x - 2.0) / 2.0 + x - x * x) * x / (x + 1.0);
        differentiates("assignments", 3.0, f, assigned);
        assert!(x > 2.5 && x < 3.5 && x == 3.0 && x > -x && x != at(2.0));
        assert_eq!([x, x * x, -x].into_iter().sum::<Dual<f64, 1>>().partials, [6.0]);
    }

    #[test]
    fn kinks_and_poles_have_finite_slopes() {
        let (x, zero) = (at(0.0), Dual::<f64, 1>::constant(0.0));
        let one = at(1.0);
        let cases = [
            (zero.sqrt(), 0.0),
            (x.sqrt(), 0.0),
            ((x * x).sqrt(), 0.0),
            (x.abs(), 0.0),
            (x.hypot(zero), 0.0),
            (x.atan2(zero), 0.0),
            (one.acos(), 0.0),
            ((-one).asin(), 0.0),
            (x.powf(Dual::constant(0.5)), 0.0),
            (x.powf(Dual::constant(1.0)), 1.0),
            (x.powf(Dual::constant(0.0)), 0.0),
            (Dual::constant(0.0).powf(one), 0.0),
            (Dual::constant(-2.0).powf(at(2.0)), 0.0),
            (at(-2.0).powf(Dual::constant(2.0)), -4.0),
            (one.min(Dual::constant(1.0)), 0.5),
            (one.max(one), 1.0),
            (zero.ln().exp(), 0.0),
            // r²/ℓ² overflows.
            ((-(at(1e-200).powi(-2))).exp(), 0.0),
        ];
        for (index, (dual, slope)) in cases.into_iter().enumerate() {
            assert!(dual.value.is_finite(), "case {index}");
            assert_eq!(dual.partials, [slope], "case {index}");
        }
    }

    #[test]
    fn nan_gives_nan() {
        let nan = Dual::<f64, 1>::constant(NAN);
        for dual in [nan.min(at(1.0)), at(1.0).min(nan), nan.max(at(1.0)), at(1.0).max(nan), nan.abs(), nan.sqrt()] {
            assert!(dual.value.is_nan());
        }
        for plain in [Real::min(NAN, 1.0), Real::min(1.0, NAN), Real::max(NAN, 1.0), Real::max(1.0, NAN)] {
            assert!(plain.is_nan());
        }
        assert!(at(NAN).exp().partials[0].is_nan());
    }

    #[test]
    fn single_precision_rounds_every_step() {
        let x = Dual::<f32, 0>::constant(0.1);
        assert_eq!((x * 3.0 + 0.7).exp().value, (0.1f32 * 3.0 + 0.7).exp());
    }
}
