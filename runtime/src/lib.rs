#![doc = include_str!("../README.md")]

pub mod model;
pub mod store;
pub mod catalog;
pub mod plugin;
pub mod action;
pub mod app;
