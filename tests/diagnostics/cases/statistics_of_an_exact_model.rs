//! Statistics are of inducing features, which an exact model has none of.
use mercer::gp::{Data, ExactGp, Sgpr};
use mercer::optim::Lbfgs;
use mercer::prelude::*;

fn main() -> mercer::Result<()> {
    let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    let statistics = Sgpr::new(Rbf::new(1.0), data.x())?.statistics(&data)?;
    ExactGp::new(Rbf::new(1.0)).fit(&statistics, &Lbfgs::default())?;
    Ok(())
}
