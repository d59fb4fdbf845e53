//! Sums of products of one-dimensional kernels, of every order.

use std::fmt;

use super::elementary::{self, include};
use crate::kernel::{
    AnyKernel, Argument, Arguments, Children, Construct, DiagVjp, EmbedVjp, Expr, Features, FromArgument, Inputs,
    Kernel, List, Node, Pairs, Points, Properties, Psd, Scratch, Structure, TileParts, TileVjp, split_theta, text,
};
use crate::params::{Constraint, Label, ParameterArray, Parameterized, Shape, Visitor, VisitorMut};
use crate::warp::{Select, Warp};
use crate::{DynKernel, Error, Result, Scalar, kernel_ops};

/// The additive kernel (ANOVA): all products of one-dimensional kernels over different dimensions, with
/// one variance for each number of factors. What [`additive`](crate::algebra::Compose::additive)
/// makes.
///
/// # Definition
///
/// k(x, y) = Σ_{m=1}^{M} σ²_m e_m(z₁, …, z_D), z_d = base_d(x_d, y_d)
///
/// e_m is the elementary symmetric polynomial of order m: the sum of all products of m different z_d.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `variances[m − 1]` | σ²_m | that of the outputs squared, over that of m base kernels | positive |
///
/// Then those of the base kernel, or of each of them.
///
/// # Properties
///
/// Positive semi-definite where the base kernels are in one dimension, as a sum of products of them;
/// stationary if they are. The D choose m products are never formed: the polynomials come from the
/// recursion e_m ← e_m + z_d e_{m−1}, in O(D M) for a pair, and their gradients from the same recursion
/// backwards. Nothing is divided or subtracted, so that for base kernels that are not negative no
/// digits are lost; Newton and Girard's formula, which the paper has, subtracts.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// // Main effects and interactions of two, in three dimensions.
/// let kernel = Linear::new(1.0).additive([1.0, 0.5]);
/// let value: f64 = kernel.eval(&[1.0, 1.0, 1.0], &[2.0, 3.0, 4.0])?;
/// assert_eq!(value, 1.0 * (2.0 + 3.0 + 4.0) + 0.5 * (2.0 * 3.0 + 2.0 * 4.0 + 3.0 * 4.0));
/// assert_eq!(kernel.get("additive.variances[1]")?, 0.5);
///
/// // With a kernel for each dimension.
/// let kernel = Additive::each([Rbf::new(1.0).dynamic(), Linear::new(1.0).dynamic()], [0.3, 0.7]) + 0.1;
/// let value: f64 = kernel.eval(&[0.0, 2.0], &[0.0, 5.0])?;
/// assert!((value - (0.3 * (1.0 + 10.0) + 0.7 * 10.0 + 0.1)).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Duvenaud, Nickisch & Rasmussen (2011), "Additive Gaussian processes", NeurIPS 24, section 2.
#[derive(Clone, Debug)]
#[doc(alias = "ANOVA")]
pub struct Additive<K> {
    variances: ParameterArray,
    bases: Bases<K>,
}

kernel_ops!([K] Additive<K>);

/// The kernels on single dimensions that an [`Additive`] is made of.
#[derive(Clone, Debug)]
pub enum Bases<K> {
    /// One kernel, used in every dimension.
    One(K),
    /// One kernel for each dimension.
    Each(Vec<K>),
}

impl<K> Bases<K> {
    fn all(&self) -> &[K] {
        match self {
            Self::One(base) => std::slice::from_ref(base),
            Self::Each(bases) => bases,
        }
    }

    /// The kernel of each dimension, without an end if it is one.
    fn iter(&self) -> impl Iterator<Item = &K> {
        let (one, each) = match self {
            Self::One(base) => (Some(base), [].as_slice()),
            Self::Each(bases) => (None, bases.as_slice()),
        };
        one.into_iter().cycle().chain(each)
    }

    fn at(&self, dim: usize) -> &K {
        match self {
            Self::One(base) => base,
            Self::Each(bases) => &bases[dim],
        }
    }
}

impl<K> Additive<K> {
    /// The same kernel in each dimension, and the variances of the orders from 1 on.
    ///
    /// # Panics
    ///
    /// If there are no variances, or one is not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(base: K, variances: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(base, variances))
    }

    /// The same kernel in each dimension, and the variances of the orders from 1 on.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are no variances; [`Error::Parameter`] if one is not positive and
    /// finite.
    pub fn try_new(base: K, variances: impl Into<Vec<f64>>) -> Result<Self> {
        Self::of(Bases::One(base), variances.into())
    }

    /// A kernel for each dimension, and the variances of the orders from 1 on.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new), and if there are no kernels; the checked form is
    /// [`try_each`](Self::try_each).
    #[track_caller]
    pub fn each(bases: impl Into<Vec<K>>, variances: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_each(bases, variances))
    }

    /// A kernel for each dimension, and the variances of the orders from 1 on.
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new), and [`Error::Empty`] if there are no kernels.
    pub fn try_each(bases: impl Into<Vec<K>>, variances: impl Into<Vec<f64>>) -> Result<Self> {
        let bases: Vec<K> = bases.into();
        if bases.is_empty() {
            return Err(Error::Empty { what: "the list of base kernels".to_owned() });
        }
        Self::of(Bases::Each(bases), variances.into())
    }

    fn of(bases: Bases<K>, variances: Vec<f64>) -> Result<Self> {
        if variances.is_empty() {
            return Err(Error::Empty { what: "the list of variances".to_owned() });
        }
        let shape = Shape::Vector(variances.len());
        Ok(Self { variances: ParameterArray::new("variances", variances, shape, Constraint::Positive)?, bases })
    }

    /// The variances of the orders from 1 on.
    pub fn variances(&self) -> &[f64] {
        self.variances.values()
    }

    /// The kernels on single dimensions.
    pub fn bases(&self) -> &Bases<K> {
        &self.bases
    }

    fn orders<T: Scalar>(&self) -> Vec<T> {
        self.variances().iter().map(|&variance| T::from_f64(variance)).collect()
    }
}

impl Construct for Additive<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel", "variances"])?;
        let (bases, variances): (_, Vec<f64>) = (arguments.take("kernel")?, arguments.take("variances")?);
        match bases {
            Bases::One(base) => Self::try_new(base, variances),
            Bases::Each(bases) => Self::try_each(bases, variances),
        }
    }
}

impl FromArgument for Bases<DynKernel> {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        match Vec::from_argument(argument)? {
            Some(bases) => Ok(Some(Self::Each(bases))),
            None => Ok(DynKernel::from_argument(argument)?.map(Self::One)),
        }
    }

    fn describe() -> String {
        "a kernel, or a list with one for each dimension,".to_owned()
    }
}

impl<K: Parameterized> Parameterized for Additive<K> {
    fn name(&self) -> &str {
        "additive"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.parameter(self.variances.view("variances"));
        match &self.bases {
            Bases::One(base) => visitor.child(Label::Only, base),
            Bases::Each(bases) => {
                bases.iter().enumerate().for_each(|(dim, base)| visitor.child(Label::Index(dim), base));
            }
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.parameter(self.variances.view_mut("variances"));
        match &mut self.bases {
            Bases::One(base) => visitor.child(Label::Only, base),
            Bases::Each(bases) => {
                bases.iter_mut().enumerate().for_each(|(dim, base)| visitor.child(Label::Index(dim), base));
            }
        }
    }
}

impl<K: AnyKernel> Children for Bases<K> {
    fn count(&self) -> usize {
        self.all().len()
    }

    fn child(&self, index: usize) -> &Node {
        self.all()[index].node()
    }
}

impl<K: AnyKernel + Clone> Expr for Additive<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Additive(&self.bases)
    }

    fn properties(&self) -> Properties {
        let all = self.bases.all().iter().map(Expr::properties).fold(Properties::all(), Properties::and);
        let psd = if all.psd.holds_in(1) { Psd::Always } else { Psd::Unknown };
        Properties { isotropic: false, zonal: false, ..all.psd(psd) }
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let refused = |needs| Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim });
        let orders = self.variances().len();
        if orders > dim {
            return refused(format!("has the variances of {orders} orders, for at least as many dimensions"));
        }
        match &self.bases {
            Bases::Each(bases) if bases.len() != dim => {
                return refused(format!("has {} base kernel(s), one for each dimension", bases.len()));
            }
            _ => {}
        }
        let (mut reads, mut indices) = (vec![false; dim], Vec::new());
        for ((column, read), base) in reads.iter_mut().enumerate().zip(self.bases.iter()) {
            let own = base.inputs(1)?;
            *read = own.read(0);
            indices.extend(own.into_indices().into_iter().map(|index| index.at(column)));
        }
        Ok(Inputs::these(reads).with_indices(indices))
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("additive(")?;
        match &self.bases {
            Bases::One(base) => write!(f, "{}", text(base))?,
            Bases::Each(bases) => {
                for (dim, base) in bases.iter().enumerate() {
                    write!(f, "{}{}", if dim == 0 { "[" } else { ", " }, text(base))?;
                }
                f.write_str("]")?;
            }
        }
        write!(f, ", variances={})", List(self.variances()))
    }
}

impl<K> Additive<K> {
    /// Calls `act` for each dimension, with its base kernel and the share that it has of the gradient
    /// vector without the variances: the same share in each dimension if the kernel is the same.
    fn each_with_theta<T: Scalar>(
        &self,
        dims: usize,
        mut theta: &mut [f64],
        mut act: impl FnMut(usize, &dyn Kernel<T>, &mut [f64]),
    ) where
        K: AnyKernel + Kernel<T>,
    {
        for dim in 0..dims {
            let base = self.bases.at(dim);
            match &self.bases {
                Bases::One(_) => act(dim, base, theta),
                Bases::Each(_) => {
                    let (own, rest) = split_theta(base, theta);
                    act(dim, base, own);
                    theta = rest;
                }
            }
        }
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Additive<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let orders = self.orders();
        let mut sums = vec![T::from_f64(0.0); orders.len()];
        for (dim, (x, y)) in x.chunks_exact(1).zip(y.chunks_exact(1)).enumerate() {
            include(&mut sums, dim, &[self.bases.at(dim).pairwise(x, y)]);
        }
        let mut value = [T::from_f64(0.0)];
        elementary::weigh(&orders, &sums, &mut value);
        value[0]
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let of = |dim: usize| {
            let coordinate = points.select(&[dim]);
            let features = self.bases.at(dim).embed(&coordinate);
            Features::mapped(coordinate, features)
        };
        Features::branch((0..points.dim()).map(of).collect())
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let orders = self.orders();
        let (mut z, mut sums) = (scratch.take(out.len()), scratch.take(orders.len() * out.len()));
        for dim in 0..pairs.children() {
            self.bases.at(dim).tile(&pairs.child(dim).child(0), &mut z, scratch);
            include(&mut sums, dim, &z);
        }
        elementary::weigh(&orders, &sums, out);
        scratch.give(z);
        scratch.give(sums);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let orders = self.orders();
        let mut z = vec![T::from_f64(0.0); out.len()];
        let mut sums = vec![T::from_f64(0.0); orders.len() * out.len()];
        for (dim, coordinate) in features.children().iter().enumerate() {
            self.bases.at(dim).tile_diag(coordinate.child(0), &mut z);
            include(&mut sums, dim, &z);
        }
        elementary::weigh(&orders, &sums, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (len, dims) = (pairs.len(), pairs.children());
        let (in_variances, in_bases) = theta.split_at_mut(self.variances().len());
        let (mut values, mut cotangents) = (scratch.take(dims * len), scratch.take(dims * len));
        for (dim, value) in values.chunks_exact_mut(len).enumerate() {
            self.bases.at(dim).tile(&pairs.child(dim).child(0), value, scratch);
        }
        elementary::backward(&self.orders(), &values, cotangent, &mut cotangents, in_variances);
        self.each_with_theta(dims, in_bases, |dim, base, theta| {
            let own = dim * len..(dim + 1) * len;
            base.tile_vjp(TileVjp::new(
                &pairs.child(dim).child(0),
                &values[own.clone()],
                &cotangents[own],
                theta,
                scratch,
            ));
        });
        scratch.give(values);
        scratch.give(cotangents);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (len, coordinates) = (cotangent.len(), features.children());
        if len == 0 {
            return;
        }
        let (in_variances, in_bases) = theta.split_at_mut(self.variances().len());
        let mut values = vec![T::from_f64(0.0); coordinates.len() * len];
        let mut cotangents = values.clone();
        for (dim, value) in values.chunks_exact_mut(len).enumerate() {
            self.bases.at(dim).tile_diag(coordinates[dim].child(0), value);
        }
        elementary::backward(&self.orders(), &values, cotangent, &mut cotangents, in_variances);
        self.each_with_theta(coordinates.len(), in_bases, |dim, base, theta| {
            let own = &cotangents[dim * len..(dim + 1) * len];
            base.tile_diag_vjp(DiagVjp::new(coordinates[dim].child(0), own, theta, gradients));
        });
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let (_, in_bases) = theta.split_at_mut(self.variances().len());
        self.each_with_theta(points.dim(), in_bases, |dim, base, theta| {
            let coordinate = features.child(dim);
            base.embed_vjp(EmbedVjp::new(coordinate.points(), coordinate.child(0), gradients, theta));
            // One dimension is always a valid list of dimensions.
            if let Ok(select) = Select::try_new([dim]) {
                select.backward(points, coordinate.points(), gradients, &mut []);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn all_products_by_hand() {
        let bases = [Rbf::new(0.7), Rbf::new(1.3), Rbf::new(0.4), Rbf::new(2.0)];
        let variances = [0.9, 0.4, 0.3, 0.2];
        let kernel = Additive::each(bases.clone(), variances);
        let (x, y) = ([0.3, -0.2, 0.9, 0.5], [0.1, 0.8, 0.7, -0.4]);
        let z: Vec<f64> = (0..4).map(|d| bases[d].eval(&x[d..=d], &y[d..=d]).unwrap()).collect();
        let mut expected = 0.0;
        for subset in 1u32..16 {
            let product: f64 = (0..4).filter(|d| subset >> d & 1 == 1).map(|d| z[d]).product();
            expected += variances[subset.count_ones() as usize - 1] * product;
        }
        let value: f64 = kernel.eval(&x, &y).unwrap();
        assert!((value - expected).abs() < 1e-15);
    }

    #[test]
    fn the_highest_order_alone_is_the_product_over_dimensions() {
        // Newton and Girard's formula would lose all digits of this.
        let tiny = 1e-300;
        let kernel = Rbf::new(1.0).additive([vec![tiny; 9], vec![1.0]].concat());
        let (x, y) = ([0.0; 10], [1.5; 10]);
        let product: f64 = Rbf::new(1.0).eval(&x, &y).unwrap();
        let value: f64 = kernel.eval(&x, &y).unwrap();
        assert!((value / product - 1.0).abs() < 1e-14);
    }

    #[test]
    fn dimensions_are_checked() {
        let kernel = Rbf::new(1.0).additive([1.0, 1.0, 1.0]);
        let error = kernel.eval(&[1.0, 2.0], &[1.0, 2.0]).unwrap_err().to_string();
        assert!(error.contains("variances of 3 orders"), "{error}");
        let kernel = Additive::each([Rbf::new(1.0), Rbf::new(2.0)], [1.0]);
        assert!(kernel.inputs(2).is_ok() && kernel.inputs(3).is_err());
        assert!(Additive::try_each(Vec::<Rbf>::new(), [1.0]).is_err() && Additive::try_new(Rbf::new(1.0), []).is_err());
    }
}
