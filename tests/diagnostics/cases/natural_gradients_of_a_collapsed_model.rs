//! A collapsed model has no q that moves.
use mercer::gp::{Data, Sgpr};
use mercer::optim::NaturalGradient;
use mercer::prelude::*;

fn main() -> mercer::Result<()> {
    let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    let _ = Sgpr::new(Rbf::new(1.0), data.x())?.natural_step(&data, &NaturalGradient::default());
    Ok(())
}
