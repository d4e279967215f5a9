//! The traps of JetStream and its client, each against a real nats-server.

mod clock;
mod cluster;
mod config;
mod consumer;
mod server;
mod work;
mod writer;
