// Starts `dlspec lsp` for the .dlspec files of a window, and again when the setting says another command.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;
let imported; // Tells of files that a spec may import, and that another program wrote, such as git.

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("dlspec").get("command");
  client = new LanguageClient(
    "dlspec",
    "dlspec",
    { command, args },
    { documentSelector: [{ language: "dlspec" }], synchronize: { fileEvents: imported } },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const missing = `dlspec: \`${command}\` did not start (${error.message}).`;
    const help = "Install it with `pip install 'dlspec[editor]'`, or say where it is in the setting dlspec.command.";
    vscode.window.showErrorMessage(`${missing} ${help}`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running) await running.stop();
}

async function activate(context) {
  imported = vscode.workspace.createFileSystemWatcher("**/*.{dlspec,py}");
  context.subscriptions.push(
    imported,
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (!event.affectsConfiguration("dlspec.command")) return;
      await stop();
      await start();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
