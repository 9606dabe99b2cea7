//! End to end: real interpreters, real sockets, the programs a user installs.

#![allow(missing_docs, unreachable_pub)]

mod clients;
mod daemon;
mod damage;
mod disassembly;
mod faults;
mod index;
mod instructions;
mod interrupts;
mod kept;
mod model;
mod native;
mod portable;
mod printed;
mod processes;
mod programs;
mod python;
mod query;
mod raises;
mod random;
mod recording;
mod reference;
mod references;
mod returns;
mod revdb;
mod scripts;
mod stepping;
mod support;
mod terminal;
mod threads;
mod travel;
mod values;
mod walk;
mod watching;
