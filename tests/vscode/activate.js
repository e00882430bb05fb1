// Activates the extension with stand-ins for the editor and the client library, and prints what it does.
//   node activate.js EXTENSION COMMAND...
"use strict";

const Module = require("module");
const [extension, ...command] = process.argv.slice(2);
const told = [];

class LanguageClient {
  constructor(id, name, server, options) {
    told.push({ id, server, options });
  }
  async start() {
    told.push("start");
    if (command[0] === "nowhere") throw new Error("spawn nowhere ENOENT");
  }
  async stop() {
    told.push("stop");
  }
}

let changed;
const vscode = {
  workspace: {
    createFileSystemWatcher: (files) => ({ files }),
    getConfiguration: () => ({ get: () => command }),
    onDidChangeConfiguration: (listen) => ((changed = listen), { dispose() {} }),
  },
  window: { showErrorMessage: (text) => told.push({ error: text }) },
};

const load = Module._load;
Module._load = (name, ...rest) =>
  name === "vscode" ? vscode : name === "vscode-languageclient/node" ? { LanguageClient } : load(name, ...rest);

async function main() {
  const { activate, deactivate } = require(extension);
  await activate({ subscriptions: [] });
  await changed({ affectsConfiguration: (name) => name === "dlspec.command" });
  await changed({ affectsConfiguration: () => false });
  await deactivate();
  console.log(JSON.stringify(told));
}

main();
