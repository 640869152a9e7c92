//! Every contact with the outside, each turning effects into events.
