// node schema.mjs NODE_MODULES FILE:TYPE...: JSON Schemas on stdout by FILE:TYPE, made of Grafana's own types as npm
// @grafana/schema has them; `dashboard:Dashboard` is a dashboard in classic JSON.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, ...wanted] = process.argv.slice(2);
const { createGenerator } = createRequire(join(resolve(modules), "x.js"))("ts-json-schema-generator");
const raw = join(resolve(modules), "@grafana/schema/dist/types/raw");

const schemas = {};
for (const name of wanted) {
  const [file, type] = name.split(":");
  // Types are read, not checked: the package's declarations lean on some that it does not bring.
  const generator = createGenerator({ path: join(raw, file, "x/types.gen.d.ts"), type, skipTypeCheck: true, topRef: false });
  schemas[name] = generator.createSchema(type);
}
process.stdout.write(JSON.stringify(schemas));
