//! What the server has besides its database: clients of services outside, one of each kind.
//!
//! Only the group that uses a service knows its type, so they are kept by it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::gate::Bureau;

/// Services by their types.
#[derive(Debug, Default)]
pub(crate) struct Services(RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>);

impl Bureau {
    /// Gives tools a service, such as an `Arc<dyn ChatProvider>`; one of the same type before it is replaced.
    pub fn provide<T: Any + Clone + Send + Sync>(&self, service: T) {
        let mut services = self.services.0.write().unwrap_or_else(PoisonError::into_inner);
        services.insert(TypeId::of::<T>(), Box::new(service));
    }

    /// The service of a type, where one is provided.
    pub fn service<T: Any + Clone + Send + Sync>(&self) -> Option<T> {
        let services = self.services.0.read().unwrap_or_else(PoisonError::into_inner);
        services.get(&TypeId::of::<T>())?.downcast_ref::<T>().cloned()
    }
}
