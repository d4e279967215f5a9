//! Which lookups are let in. A node with more work than it can do answers all of it late; so it counts what is
//! under way, sheds `bulk` at a lower count than `checkout`, and says so at once.

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::refusal::Refusal;
use crate::config;

pub(crate) struct Admission {
    free: Semaphore,
    in_flight_max: usize,
    bulk_max: usize,
}

/// One lookup under way, until dropped.
pub(crate) struct Admitted<'a> {
    _permit: SemaphorePermit<'a>,
    gauge: &'a Gauge,
}

impl Admission {
    pub(crate) fn new(config: &config::Lookup) -> Self {
        Self {
            free: Semaphore::new(config.in_flight),
            in_flight_max: config.in_flight,
            bulk_max: config.bulk_in_flight,
        }
    }

    /// A place for one lookup, taken before its body is read.
    pub(crate) fn enter<'a>(&'a self, gauge: &'a Gauge) -> Result<Admitted<'a>, Refusal> {
        let in_flight = self.in_flight_max;
        let permit = self.free.try_acquire().map_err(|_| Refusal::Busy { in_flight })?;
        gauge.inc();
        Ok(Admitted { _permit: permit, gauge })
    }

    /// Whether a lookup of priority `bulk`, already counted, may go on.
    pub(crate) fn take_bulk(&self) -> Result<(), Refusal> {
        let in_flight = self.in_flight_max - self.free.available_permits();
        if in_flight > self.bulk_max {
            return Err(Refusal::BulkShed { in_flight, max: self.bulk_max });
        }
        Ok(())
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_is_shed_first_and_places_come_back() {
        let config = config::Lookup { in_flight: 2, bulk_in_flight: 1, ..config::Lookup::default() };
        let (admission, gauge) = (Admission::new(&config), Gauge::default());
        let first = admission.enter(&gauge).unwrap();
        assert!(admission.take_bulk().is_ok());
        let second = admission.enter(&gauge).unwrap();
        let shed = admission.take_bulk().unwrap_err().to_string();
        assert_eq!(shed, "2 lookups are under way, and those of priority bulk are shed from 1 on; ask again");
        let busy = admission.enter(&gauge).err().unwrap();
        assert_eq!(busy.code().as_str(), "too_many_requests");
        assert_eq!(gauge.get(), 2);
        drop((first, second));
        assert_eq!(gauge.get(), 0);
        assert!(admission.enter(&gauge).is_ok() && admission.take_bulk().is_ok());
    }
}
