#![doc = include_str!("../README.md")]

pub mod action;
pub mod api;
pub mod app;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod jq;
pub mod model;
pub mod plugin;
pub mod store;
pub mod trace;
