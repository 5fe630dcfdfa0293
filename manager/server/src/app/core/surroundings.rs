//! What the deciding thread knows of the world: the time, new ids and chance. Handed in, so that a simulation can play it.

use conductor_model::Timestamp;
use conductor_model::ids::IdSource;

use crate::clock::{self, SystemIds};

/// The world as the deciding thread meets it.
pub trait Surroundings: Send {
    /// Now.
    fn now(&mut self) -> Timestamp;
    /// Where new ids come from.
    fn ids(&mut self) -> &mut dyn IdSource;
    /// A number from 0.0 up to 1.0.
    fn chance(&mut self) -> f64;
}

/// The real world.
#[derive(Debug, Default)]
pub struct RealWorld(SystemIds);

impl Surroundings for RealWorld {
    fn now(&mut self) -> Timestamp {
        clock::now()
    }

    fn ids(&mut self) -> &mut dyn IdSource {
        &mut self.0
    }

    fn chance(&mut self) -> f64 {
        rand::random()
    }
}
