//! What operators ask of a node and what they are told, on the listener of their own: JSON alone.

mod acts;
mod chains;
mod cluster;
mod events;
mod handover;
mod lists;
mod policies;
mod recovery;
mod shadow;

pub use acts::{
    ActAnswer, ActOutcome, ActRequest, EditRequest, RedispatchRequest, ReleaseRequest, RoutingRequest,
};
pub use chains::{CondemnedShown, InvalidateDryRun, InvalidateRequest, ResyncAnswer, ResyncRequest};
pub use cluster::{
    Agreement, ClusterShown, Member, MemberCheckpoint, MemberDifference, MemberDigest, MemberPositions,
    MemberShown, MemberStream,
};
pub use events::{EventPage, EventShown};
pub use handover::{
    HandoverDryRun, HandoverRequest, HandoverShown, InFlightFate, InFlightShown, LastHandover,
};
pub use lists::{
    BackendBacklog, ChainShown, DispatchBacklog, HoldPage, OrderPage, OrderShown, OrderWhole, Overcommits,
    Overcommitted, ParkedShown, Reroute, ReviewEntry, ReviewPage, RoutingDryRun, RoutingShown, SourcesShown,
};
pub use policies::{PoliciesShown, PolicyShown};
pub use recovery::RecoveryPage;
pub use shadow::{ComparedSource, Drift, ShadowShown, TableDrift};
