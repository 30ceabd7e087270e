//! The interpreter passes the suite that every engine must pass.

use engine::conformance;
use interpreter::Interpreter;

#[test]
fn the_interpreter_conforms() {
    conformance::run_all(&|| Box::new(Interpreter::default()));
}
