//! The stage as a whole: a rig that stands for all its neighbours, scenarios, and a naive reference model.

mod arrivals;
mod breakers;
mod clocks;
mod configs;
mod controls;
mod differential;
mod external;
mod facts;
mod following;
mod lanes;
mod money;
mod orders;
mod own_orders;
mod reconcile;
mod reference;
mod replaces;
pub(crate) mod rig;
mod schema;
mod states;
mod sweeps;
