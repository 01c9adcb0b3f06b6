//! Behaviour of the scheduler, one situation a file.

mod smoke;
