//! What spans and metrics call the scheduler's values. Told in `docs/OBSERVE.md`: they do not change.

use crate::sched::{Class, FetchOutcome};

/// What a fetch is for.
pub(super) fn class(class: Class) -> &'static str {
    match class {
        Class::Blocked => "blocked",
        Class::FirstWindow => "first_window",
        Class::Hint => "hint",
        Class::Secondary => "secondary",
        Class::Near => "near",
        Class::Far => "far",
        Class::Fill => "fill",
    }
}

/// How a fetch ended.
pub(super) fn outcome(outcome: &FetchOutcome) -> &'static str {
    match outcome {
        FetchOutcome::Complete => "complete",
        FetchOutcome::Failed(_) => "failed",
        FetchOutcome::Cancelled => "cancelled",
    }
}
