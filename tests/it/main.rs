//! One test binary; one file per promise.
mod counting;
mod floors;
mod live;
mod reasons;
mod settings;
mod signing;
mod simulator;
mod support;
mod web;
