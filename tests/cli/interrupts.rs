//! Ctrl-C, once and twice: an exit code of its own, and an error object for programs.

use crate::user::User;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

fn press(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

fn start(user: &User, arguments: &[&str]) -> Child {
    let mut command = user.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The last line of stderr, which is an error object.
fn error_of(mut child: Child) -> Value {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    last["error"].clone()
}

#[test]
fn a_second_interrupt_ends_at_once_with_an_error_object() {
    let user = User::new();
    // A call of many seconds: the run cannot end by itself soon.
    let size = "m=1500,k=1500,n=1500";
    let arguments = ["tune", "product.tw", "--size", size, "--seconds", "300", "--json"];
    let mut child = start(&user, &arguments);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"start\""), "{first}");
    press(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("again to end at once") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    press(&child);
    said.clear();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6), "{said}");
    let error: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["kind"], "interrupted");
    for line in lines {
        serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    }
}

#[test]
fn an_interrupt_of_another_command_is_told_as_json() {
    let user = User::new();
    let size = "m=1000,k=1000,n=1000";
    let arguments = ["explain", "product.tw", "--size", size, "--verify-stages", "--json"];
    let mut child = start(&user, &arguments);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // Long work is announced.
    while !said.contains("this takes about") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    press(&child);
    child.stderr = Some(stderr.into_inner());
    assert_eq!(error_of(child)["exit_code"], 6);
}
