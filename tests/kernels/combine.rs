//! What combinators do with their children: fast paths, counts of calls, operators, text, paths.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::kernel::{GradientRequest, cross_vjp, gram_vjp};
use mercer::prelude::*;
use mercer::testkit::{Probe, keeps_fast_paths, points};
use mercer::warp::{Activation, Layer, Mlp, RandomFeatures};

#[test]
fn every_combinator_keeps_the_fast_paths_of_its_children() {
    type Combinator = fn(DynKernel) -> DynKernel;
    let combinators: [(&str, Combinator); 24] = [
        ("sum, left", |child| Sum::new(child, Rbf::new(0.9)).dynamic()),
        ("sum, right", |child| Sum::new(Rbf::new(0.9), child).dynamic()),
        ("sum, flat", |child| Rbf::new(0.9).dynamic() + child),
        ("product, left", |child| Product::new(child, Rbf::new(0.9)).dynamic()),
        ("product, right", |child| Product::new(Rbf::new(0.9), child).dynamic()),
        ("product, flat", |child| Rbf::new(0.9).dynamic() * child),
        ("scaled", |child| 2.0 * child),
        ("neg", |child| -child),
        ("difference", |child| 1.0 - child),
        ("on", |child| child.on([1, 0]).dynamic()),
        ("ard", |child| child.ard([1.0, 2.0]).dynamic()),
        ("stretch", |child| child.stretch(1.5).dynamic()),
        ("linear map", |child| child.linear_map(mat![[0.5, 0.2], [-0.3, 0.8]]).dynamic()),
        ("circle", |child| child.on([0, 3]).circle(2.3).dynamic()),
        ("sphere lift", |child| child.on([0, 2]).sphere_lift(0.8).dynamic()),
        ("log warp", |child| child.log_warp(3.0).dynamic()),
        ("kumaraswamy", |child| child.kumaraswamy(1.3, 1.8).dynamic()),
        ("mlp", |child| {
            let layers = [Layer::new(mat![[0.5, 0.2], [-0.3, 0.8]], [0.1, 0.2])];
            child.mlp(Mlp::new(layers, Activation::Tanh)).dynamic()
        }),
        ("random features", |child| {
            child.random_features(RandomFeatures::new(mat![[0.5, 0.2], [-0.3, 0.8]], [0.1, 0.2])).dynamic()
        }),
        ("change point, both", |child| child.clone().change_point(child, 0.2, 0.5).dynamic()),
        ("change window, inside", |child| Rbf::new(0.9).change_window(child, -0.5, 0.7, 0.5).dynamic()),
        ("box", |child| child),
        ("probe", |child| Probe::new(child).dynamic()),
        ("nested", |child| ((child + 1.0) * Rbf::new(0.9)).on([0, 1]).ard([1.0, 2.0]).dynamic() - 0.5),
    ];
    for (name, combinator) in combinators {
        keeps_fast_paths(2, combinator).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
    // Its child reads single dimensions.
    keeps_fast_paths(1, |child| child.additive([0.7]).dynamic()).unwrap_or_else(|violation| panic!("{violation}"));
}

/// Evaluations of a probed kernel's tile in one block of a VJP.
fn evaluations(probe: &Probe<Rbf>, kernel: &dyn Kernel<f64>) -> usize {
    let x = points::<f64>(10, 2, 1);
    let w = Mat::from_fn(10, 10, |_, _| 1.0);
    probe.reset();
    gram_vjp(kernel, x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
    assert_eq!((probe.calls().tile_vjp, probe.calls().embed), (1, 1));
    probe.calls().tile
}

#[test]
fn leaves_run_at_most_once_in_a_gradient() {
    // A radial leaf whose value nobody reads is differentiated without it; below a product its slopes come
    // with its value.
    let (a, b, c) = (Probe::new(Rbf::new(1.0)), Probe::new(Rbf::new(2.0)), Probe::new(Rbf::new(3.0)));
    let sum = a.clone() + b.clone();
    assert_eq!((evaluations(&a, &sum), evaluations(&b, &sum)), (0, 0));
    let boxed = a.clone().dynamic() + b.clone();
    assert_eq!((evaluations(&a, &boxed), evaluations(&b, &boxed)), (0, 0));
    let product = sum * c.clone();
    assert_eq!((evaluations(&a, &product), evaluations(&b, &product), evaluations(&c, &product)), (1, 1, 1));
    // A factor goes along with the cotangents.
    let scaled = 2.0 * a.clone();
    assert_eq!(evaluations(&a, &scaled), 0);
    let flat = a.clone().dynamic() * b.clone() * c.clone();
    assert_eq!((evaluations(&a, &flat), evaluations(&b, &flat), evaluations(&c, &flat)), (1, 1, 1));
}

#[test]
fn a_warp_embeds_once_for_all_blocks() {
    let probe = Probe::new(Rbf::new(1.0));
    let kernel = probe.clone().ard([1.0, 2.0]).on([1, 0]) + 1.0;
    let x = points::<f64>(200, 2, 1);
    let _: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
    // Once for all points, and for two small sets from whose values the map sees what rounding would cost.
    assert_eq!((probe.calls().embed, probe.calls().pairwise), (3, 0));
    assert!(probe.calls().tile > 4);
}

#[test]
fn zeros_in_factors_lose_no_gradient() {
    let x = mat![[0.0], [0.5], [-0.5]];
    let w = Mat::from_fn(3, 3, |i, j| 1.0 + i as f64 - 0.5 * j as f64);
    let gradient =
        |kernel: &dyn Kernel<f64>| gram_vjp(kernel, x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
    // At x = 0 both factors vanish; scaled by 0 everything does, but the derivative in the factor.
    let product = gradient(&(Linear::new(2.0) * Linear::new(3.0)));
    assert!(product.theta.iter().all(|value| value.is_finite() && *value != 0.0));
    let scaled = gradient(&(0.0 * Rbf::new(1.0)));
    assert!(scaled.theta[0] != 0.0 && scaled.theta[1] == 0.0);
    assert_eq!(scaled.x.unwrap().norm_max(), 0.0);
}

/// A kernel type of the user's own, from the public interface alone.
#[derive(Clone, Debug)]
struct Wiener;

mercer::parameterized!(Wiener as "wiener", parameters: []);
mercer::kernel_ops!(Wiener);

impl Expr for Wiener {}

impl<T: Scalar> Kernel<T> for Wiener {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        if x[0] < y[0] { x[0] } else { y[0] }
    }
}

fn at(kernel: impl Kernel<f64>) -> f64 {
    kernel.eval(&[1.0], &[3.0]).unwrap()
}

#[test]
fn operators_on_every_combination() {
    let l = || Linear::new(1.0);
    let d = || Linear::new(1.0).dynamic();
    // k = 3 for the linear kernel, 1 for the Wiener kernel.
    assert_eq!([at(l() + l()), at(l() + d()), at(d() + l()), at(d() + d())], [6.0; 4]);
    assert_eq!([at(l() * l()), at(l() * d()), at(d() * l()), at(d() * d())], [9.0; 4]);
    assert_eq!([at(l() - l()), at(l() - d()), at(d() - l()), at(d() - d())], [0.0; 4]);
    assert_eq!([at(-l()), at(-d())], [-3.0; 2]);
    assert_eq!([at(2.0 * l()), at(l() * 2.0), at(2.0 * d()), at(d() * 2.0)], [6.0; 4]);
    assert_eq!([at(2.0 + l()), at(l() + 2.0), at(2.0 + d()), at(d() + 2.0)], [5.0; 4]);
    assert_eq!([at(2.0 - l()), at(2.0 - d())], [-1.0; 2]);
    assert_eq!([at(l() - 2.0), at(d() - 2.0)], [1.0; 2]);
    assert_eq!([at(2 * l()), at(l() * 2), at(2 * d()), at(d() * 2)], [6.0; 4]);
    assert_eq!([at(2 + l()), at(l() + 2), at(2 + d()), at(d() + 2)], [5.0; 4]);
    assert_eq!([at(2 - l()), at(2 - d())], [-1.0; 2]);
    assert_eq!([at(l() - 2), at(d() - 2)], [1.0; 2]);
    assert_eq!([at(l() / 2.0), at(d() / 2.0), at(l() / 2), at(d() / 2)], [1.5; 4]);

    assert_eq!([at(Wiener + l()), at(l() + Wiener), at(Wiener + d()), at(d() + Wiener)], [4.0; 4]);
    assert_eq!([at(Wiener * l()), at(l() * Wiener), at(Wiener * d()), at(d() * Wiener)], [3.0; 4]);
    assert_eq!([at(2.0 * Wiener), at(Wiener * 2.0), at(3.0 - Wiener), at(Wiener - -1.0)], [2.0; 4]);
    assert_eq!([at(-Wiener), at(l() - Wiener - d())], [-1.0; 2]);

    assert_eq!(at(l().on([0]) + (2.0 * l()).ard([1.0]) * Wiener - -l()), 12.0);
    assert_eq!([at(l().plus(d())), at(l().times(d()) + -3.0), at(l().scaled(2.0))], [6.0; 3]);
    assert_eq!(at(Probe::new(l()) + Wiener), 4.0);
}

#[test]
fn boxes_take_others_in() {
    let mut kernel = Linear::new(1.0).dynamic();
    kernel += Wiener;
    kernel *= Linear::new(1.0).dynamic();
    kernel *= 2;
    assert_eq!(kernel.to_string(), "2 * ((linear(variance=1) + wiener()) * linear(variance=1))");
    assert_eq!(at(kernel), 24.0);

    let parts = || [Linear::new(1.0).dynamic(), Wiener.dynamic(), Linear::new(2.0).dynamic()].into_iter();
    assert_eq!([at(parts().sum::<DynKernel>()), at(parts().product::<DynKernel>())], [10.0, 18.0]);
    assert_eq!(parts().sum::<DynKernel>().children().len(), 3);
    assert_eq!(parts().take(1).sum::<DynKernel>().to_string(), "linear(variance=1)");
    assert_eq!([at(parts().take(0).sum::<DynKernel>()), at(parts().take(0).product::<DynKernel>())], [0.0, 1.0]);
}

#[test]
#[should_panic = "parameter `factor` was given inf, but must be positive and finite"]
fn a_kernel_over_0_is_refused() {
    let _ = Linear::new(1.0) / 0.0;
}

#[test]
fn sums_and_products_of_boxes_are_flat() {
    let a = || Rbf::new(1.0).dynamic();
    assert_eq!((a() + a() + (a() + a())).children().len(), 4);
    assert_eq!((a() * a() * (a() * a())).children().len(), 4);
    assert_eq!((a() + (1.0 + a()) + 2.0).children().len(), 4);
    assert_eq!((a() + a() * a()).children().len(), 2);
}

fn paths(kernel: &dyn Expr) -> Vec<String> {
    kernel.parameters().into_iter().map(|entry| entry.path).collect()
}

#[test]
fn nested_sums_are_numbered_like_the_flat_sum() {
    let (a, b, c, d) = (Rbf::new(1.0), Linear::new(1.0), White::new(1.0), Constant::new(1.0));
    let flat = paths(&(a.clone().dynamic() + b.clone() + c.clone() + d.clone()));
    assert_eq!(
        flat,
        ["sum[0].rbf.lengthscale", "sum[1].linear.variance", "sum[2].white.variance", "sum[3].constant.value"]
    );
    assert_eq!(paths(&(((a.clone() + b.clone()) + c.clone()) + d.clone())), flat);
    assert_eq!(paths(&(a.clone() + (b.clone() + (c.clone() + d.clone())))), flat);
    assert_eq!(paths(&((a.clone() + b.clone()) + (c.clone() + d.clone()).dynamic())), flat);
    let mixed = a.clone() + b.clone() * (c.clone() + d.clone()) * a.clone();
    assert_eq!(
        paths(&mixed),
        [
            "sum[0].rbf.lengthscale",
            "sum[1].product[0].linear.variance",
            "sum[1].product[1].sum[0].white.variance",
            "sum[1].product[1].sum[1].constant.value",
            "sum[1].product[2].rbf.lengthscale"
        ]
    );
}

#[test]
fn misspelt_paths_are_errors_with_a_suggestion() {
    let mut kernel = 2.0 * Rbf::new([0.5, 1.0]) + Linear::new(1.0);
    let expected = "no parameter `sum[0].scaled.rbf.lenghtscale[1]`; did you mean `sum[0].scaled.rbf.lengthscale[1]`";
    for message in [
        kernel.set("sum[0].scaled.rbf.lenghtscale[1]", 2.0).unwrap_err().to_string(),
        kernel.freeze("sum[0].scaled.rbf.lenghtscale[1]").unwrap_err().to_string(),
        kernel.get("sum[0].scaled.rbf.lenghtscale[1]").unwrap_err().to_string(),
    ] {
        assert!(message.starts_with(expected), "{message}");
    }
    assert!(kernel.freeze("sum[2]").is_err() && kernel.freeze("sum[0].scaled.rbf.length").is_err());
    assert!(kernel.set("sum[0].scaled.rbf.lengthscale[2]", 1.0).is_err());
    kernel.freeze("sum[0]").unwrap();
    assert_eq!(kernel.unconstrained().len(), 1);
    kernel.unfreeze("sum[0].scaled.rbf.lengthscale[1]").unwrap();
    assert_eq!(kernel.unconstrained().len(), 2);
}

#[test]
fn text_is_unambiguous() {
    let (a, b, c) = (|| Rbf::new(1.0), || Linear::new(2.0), || White::new(3.0));
    let shown = |kernel: &dyn Expr| {
        let text = mercer::kernel::text(kernel).to_string();
        let text = text.replace("rbf(lengthscale=1)", "a").replace("linear(variance=2)", "b");
        text.replace("white(variance=3)", "c")
    };
    assert_eq!(shown(&(a() - (-b()))), "a - (-b)");
    assert_eq!(shown(&-(-a())), "-(-a)");
    assert_eq!(shown(&(a() - (b() + c()))), "a - (b + c)");
    assert_eq!(shown(&(a() + (b() + c()))), "a + (b + c)");
    assert_eq!(shown(&(a() + b() + c())), "a + b + c");
    assert_eq!(shown(&(a() - b() - c())), "a - b - c");
    assert_eq!(shown(&-(a() + b())), "-(a + b)");
    assert_eq!(shown(&-(a() * b())), "-(a * b)");
    assert_eq!(shown(&(-a() * b())), "(-a) * b");
    assert_eq!(shown(&(a() * -b())), "a * (-b)");
    assert_eq!(shown(&(2.0 * (a() * b()))), "2 * (a * b)");
    assert_eq!(shown(&(2.0 * a() * b())), "2 * a * b");
    assert_eq!(shown(&(a() * (2.0 * b()))), "a * (2 * b)");
    assert_eq!(shown(&(2.0 * (3.0 * a()))), "2 * (3 * a)");
    assert_eq!(shown(&(-2.0 * a())), "-2 * a");
    assert_eq!(shown(&-(2.0 * a())), "-(2 * a)");
    assert_eq!(shown(&(a() - 2.0 * b())), "a - 2 * b");
    assert_eq!(shown(&(a() + -2.0 * b())), "a + -2 * b");
    assert_eq!(shown(&(2.0 * -a())), "2 * (-a)");
    assert_eq!(shown(&(a() * (b() + c()))), "a * (b + c)");
    assert_eq!(shown(&((a() + b()) * c())), "(a + b) * c");
    assert_eq!(shown(&(a() * (b() * c()))), "a * (b * c)");
    assert_eq!(shown(&(a() - b() * c())), "a - b * c");
    assert_eq!(shown(&(a() + b()).on([0]).ard([2.0])), "ard(on(a + b, [0]), [2])");
    assert_eq!(shown(&-(a().on([1, 0]))), "-on(a, [1, 0])");
}

/// No two of these different expressions print the same.
#[test]
fn different_expressions_have_different_texts() {
    let (a, b) = (|| Rbf::new(1.0).dynamic(), || Linear::new(1.0).dynamic());
    let expressions = [
        a() - 2.0 * b(),
        a() + -2.0 * b(),
        a() - b() * b(),
        a() + -b() * b(),
        -(2.0 * a()),
        -2.0 * a(),
        2.0 * -a(),
        -a() * b(),
        -(a() * b()),
        2.0 * (a() * b()),
        2.0 * a() * b(),
        a() * (2.0 * b()),
        (a() - b()) * a(),
        a() - b() * a(),
    ];
    let mut texts: Vec<String> = expressions.iter().map(DynKernel::to_string).collect();
    texts.sort_unstable();
    texts.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
}

#[test]
fn a_hundred_levels() {
    let mut kernel = Rbf::new(1.0).dynamic();
    let mut nested = Rbf::new(1.0).dynamic();
    for level in 0..100 {
        kernel = 1.0 + 0.9 * kernel;
        nested = match level % 4 {
            0 => Sum::new(Linear::new(1e-3), nested).dynamic(),
            1 => Product::new(nested, Rbf::new(9.0)).dynamic(),
            2 => -nested,
            _ => nested.on([0]).dynamic(),
        };
    }
    let x = points::<f64>(40, 1, 1);
    for kernel in [kernel, nested] {
        mercer::testkit::expressions::text(&kernel).unwrap();
        mercer::testkit::expressions::parameters(&kernel).unwrap();
        mercer::testkit::matrices::gram_is_cross::<f64>(&kernel, x.as_ref()).unwrap();
        mercer::testkit::gradients::directional(&kernel, x.as_ref(), x.as_ref().subrows(0, 5)).unwrap();
        mercer::testkit::bits::thread_independent::<f32>(&kernel, points(600, 1, 1).as_ref(), points(3, 1, 2).as_ref())
            .unwrap();
    }
}

#[test]
fn a_missing_gradient_is_refused_by_its_path() {
    let x = points::<f64>(3, 1, 1);
    let refusal = |kernel: &dyn Kernel<f64>| {
        let w = Mat::zeros(3, 3);
        cross_vjp(kernel, x.as_ref(), x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap_err()
    };
    let path = |kernel: &dyn Kernel<f64>| match refusal(kernel) {
        Error::NotDifferentiable { path } => path,
        other => panic!("{other}"),
    };
    assert_eq!(path(&Wiener), "wiener");
    assert_eq!(path(&(2.0 * Wiener.on([0]))), "scaled.on.wiener");
    // Numbered like the paths of parameters.
    assert_eq!(path(&(Rbf::new(1.0) + Linear::new(1.0) + Wiener)), "sum[2].wiener");
    assert_eq!(path(&(Rbf::new(1.0) + (Linear::new(1.0) + Rbf::new(1.0) * Wiener))), "sum[2].product[1].wiener");
    assert_eq!(path(&Sum::flat(vec![Wiener.dynamic()]).unwrap()), "sum[0].wiener");
}
