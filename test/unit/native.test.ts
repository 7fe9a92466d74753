import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/* The functions of the addon have two signatures: what lib/native.ts declares, and the C++ function that reads the arguments. */

const root = join(__dirname, '../..');

interface Signature {
  readonly parameters: readonly string[];
  readonly result: string;
}

/** Kinds of handles, and whether one of them is also of another kind. */
type IsA = (kind: string, other: string) => boolean;

const kViews = 'ArrayBufferView Uint8Array Int32Array Uint32Array Float64Array';

/* What each type of a C++ parameter reads; `null` stands for a value that may be missing. See values.h. */
const kReads: Record<string, string> = {
  double: 'number',
  uint32_t: 'number',
  int32_t: 'number',
  uint64_t: 'bigint',
  bool: 'boolean',
  OptionalBytes: `${kViews} null`,
  Content: `string ${kViews} null`,
  Path: `string ${kViews} null`,
  RequiredPath: `string ${kViews}`,
  ShortPath: `string ${kViews}`,
  SlotArgument: 'Slot',
  HandleNumber: 'OpenHandle',
  'std::span<uint32_t>': 'Uint32Array',
  'std::span<int32_t>': 'Int32Array',
};

/* What JavaScript gets for each type of a C++ result. */
const kGives: Record<string, string> = {
  void: 'void',
  double: 'number',
  uint32_t: 'number',
  int32_t: 'number',
  int64_t: 'number',
  bool: 'boolean',
  BigInt: 'bigint',
  BlockBuffer: 'ArrayBuffer null',
  HandleNumber: 'OpenHandle',
};

function isRead(parameter: string, declared: string, isA: IsA): boolean {
  if (parameter === 'napi_value') return true; // looked at by the function itself
  if (parameter.endsWith('*')) return isA(declared, parameter.slice(0, -1));
  const read = kReads[parameter] ?? (/^(std::span|Record)</.test(parameter) ? kViews : '');
  return read.split(' ').includes(declared);
}

function isGiven(result: string, declared: string): boolean {
  if (result === 'napi_value') return declared !== 'void';
  if (result.endsWith('*')) return [result.slice(0, -1), 'null'].includes(declared);
  return (kGives[result] ?? '').split(' ').includes(declared);
}

/** Splits at the commas that stand in no brackets. */
function splitted(list: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const letter of list) {
    if ('<('.includes(letter)) depth++;
    if ('>)'.includes(letter)) depth--;
    if (letter === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else part += letter;
  }
  return [...parts, part].map((each) => each.trim()).filter(Boolean);
}

/** The functions that a source of the binding adds, by the names that they have in JavaScript. */
function added(source: string): [name: string, signature: Signature][] {
  const code = source.replace(/\/\/.*/g, '');
  return [...code.matchAll(/exports\.add\("(\w+)", call<(\w+)/g)].map(([, name, callee]) => {
    const definition = new RegExp(`^([\\w:]+\\*?) \\*?${callee}\\(Client&(?: \\w+)?([^)]*)\\) \\{`, 'm').exec(code);
    if (definition === null) throw new Error(`${callee} of ${name} has no definition that can be read`);
    const types = splitted(definition[2]!).map((parameter) =>
      parameter
        .replace(/\bconst /g, '')
        .replace(/ ?\w+$/, '')
        .replace(/&$/, ''),
    );
    return [name!, { parameters: types, result: definition[1]! }];
  });
}

/** The functions of the interface `Native`, each type as the names it is made of, joined by blanks. */
function declared(text: string): Map<string, Signature> {
  const source = ts.createSourceFile('native.ts', text, ts.ScriptTarget.Latest, true);
  const aliases = new Map(
    source.statements.filter(ts.isTypeAliasDeclaration).map((alias) => [alias.name.text, alias.type] as const),
  );
  const names = (type: ts.TypeNode): string[] => {
    if (ts.isParenthesizedTypeNode(type)) return names(type.type);
    if (ts.isUnionTypeNode(type)) return type.types.flatMap(names);
    if (!ts.isTypeReferenceNode(type)) return [type.getText(source)];
    const name = type.typeName.getText(source);
    const [kind] = type.typeArguments ?? [];
    if (name === 'Handle' || name === 'Numbered') return [kind!.getText(source).slice(1, -1)];
    const alias = aliases.get(name);
    return alias === undefined ? [name] : names(alias);
  };
  const native = source.statements.filter(ts.isInterfaceDeclaration).find(({ name }) => name.text === 'Native')!;
  return new Map(
    native.members.filter(ts.isMethodSignature).map((method) => {
      const parameters = method.parameters.map(({ type, dotDotDotToken }) =>
        dotDotDotToken === undefined
          ? names(type!).join(' ')
          : `...${names((type as ts.ArrayTypeNode).elementType).join(' ')}`,
      );
      return [method.name.getText(source), { parameters, result: names(method.type!).join(' ') }];
    }),
  );
}

/** Where the declarations and the binding's functions are not the same. */
function differences(declarations: Map<string, Signature>, functions: Map<string, Signature>, isA: IsA): string[] {
  const found: string[] = [];
  for (const name of new Set([...declarations.keys(), ...functions.keys()])) {
    const [ours, theirs] = [declarations.get(name), functions.get(name)];
    if (ours === undefined || theirs === undefined) {
      found.push(`${name} is ${ours === undefined ? 'not declared' : 'not there'}`);
      continue;
    }
    const last = ours.parameters.at(-1) ?? '';
    const rest = last.startsWith('...') ? Array(theirs.parameters.length - ours.parameters.length + 1).fill(last) : [];
    const parameters = rest.length === 0 ? ours.parameters : [...ours.parameters.slice(0, -1), ...rest];
    if (parameters.length !== theirs.parameters.length) {
      found.push(`${name} reads ${theirs.parameters.length} arguments, not ${parameters.length}`);
      continue;
    }
    parameters.forEach((parameter, index) => {
      const reads = theirs.parameters[index]!;
      const types = parameter.replace('...', '').split(' ');
      if (!types.every((type: string) => isRead(reads, type, isA)))
        found.push(`${name}: ${reads} does not read ${parameter}`);
    });
    const isSame = ours.result.split(' ').every((type) => isGiven(theirs.result, type));
    if (!isSame) found.push(`${name}: ${theirs.result} is not ${ours.result}`);
  }
  return found;
}

/** As the headers of the core derive classes from each other. */
function kinships(headers: string): IsA {
  const derived = /^(?:class|struct) (\w+)(?: final)? : (?:public )?(\w+)/gm;
  const bases = new Map([...headers.matchAll(derived)].map(([, kind, base]) => [kind!, base!]));
  return (kind, other) => {
    for (let at: string | undefined = kind; at !== undefined; at = bases.get(at)) if (at === other) return true;
    return false;
  };
}

describe('the functions of the addon', () => {
  const read = (folder: string, ending: string) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(ending))
      .map((file) => readFileSync(join(root, folder, file), 'utf8'));
  const functions = new Map(read('native/binding', '.cc').flatMap(added));
  const declarations = declared(readFileSync(join(root, 'lib/native.ts'), 'utf8'));
  const isA = kinships(read('native/core', '.h').join('\n'));

  it('read the arguments, and give the results, that lib/native.ts declares', () => {
    expect(functions.size).toBeGreaterThan(50);
    expect(differences(declarations, functions, isA)).toEqual([]);
  });

  it('would be found where they differ', () => {
    const changed = (name: string, change: (was: Signature) => Signature) =>
      differences(new Map([...declarations, [name, change(declarations.get(name)!)]]), functions, isA);
    const parameters =
      (...given: string[]) =>
      (was: Signature) => ({ ...was, parameters: given });
    expect(changed('cancel', parameters())).toEqual(['cancel reads 1 arguments, not 0']);
    expect(changed('cancel', parameters('string'))).toEqual(['cancel: Record<acall_id> does not read string']);
    expect(changed('ringAvailable', parameters('Arena'))).toEqual(['ringAvailable: Ring* does not read Arena']);
    expect(changed('jobCancel', parameters('Walk Ring'))).toEqual(['jobCancel: Job* does not read Walk Ring']);
    expect(changed('release', parameters('number'))).toEqual(['release: SlotArgument does not read number']);
    expect(changed('addressOf', (was) => ({ ...was, result: 'number' }))).toEqual(['addressOf: BigInt is not number']);
    const [none, more] = [new Map<string, Signature>(), new Map([['more', functions.get('now')!]])];
    expect(differences(more, none, isA)).toEqual(['more is not there']);
    expect(differences(none, more, isA)).toEqual(['more is not declared']);
  });
});
