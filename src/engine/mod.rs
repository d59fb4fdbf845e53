//! Algebras that a model may do with in place of dense matrices: see [`Engine`](crate::gp::Engine).

pub(crate) mod markov;
