/** Reads native/core/syscalls/signatures.txt, whose first lines describe it, into plain objects. */
const places = new Set(['never', 'own', 'unsafe']);
const words = new Set(['fd', 'harmless', 'uninterrupted', 'rerun', 'quick', 'process', 'blocks', 'gone', 'fills']);
const values = new Set(['long', 'uint', 'int', 'fd', 'dirfd']);
const bare = new Set(['path', 'length4', 'msghdr', 'sigsetpack', 'null', 'unchecked']);

class Reader {
  constructor(text) {
    this.structs = new Map();
    this.newer = { x64: new Map(), arm64: new Map() };
    this.calls = new Map();
    this.lines = text
      .split('\n')
      .map((line, index) => ({ number: index + 1, indent: line.search(/\S/), text: line.trim() }))
      .filter((line) => line.text !== '' && !line.text.startsWith('#'));
    this.at = 0;
  }

  fail(line, message) {
    throw new Error(`signatures.txt:${line.number}: ${message}: ${line.text}`);
  }

  read() {
    while (this.at < this.lines.length) {
      const line = this.lines[this.at];
      const [word, ...rest] = line.text.split(/\s+/);
      if (line.indent !== 0) this.fail(line, 'indented line without a call above');
      if (word === 'struct') {
        this.at++;
        this.structs.set(rest[0], { header: rest[1], type: rest.slice(2).join(' ') });
      } else if (word === 'new') {
        this.at++;
        for (const arch of ['x64', 'arm64']) this.newer[arch].set(rest[0], Number(rest[1]));
      } else if (word === 'only') {
        this.at++;
        this.newer[rest[0]].set(rest[1], Number(rest[2]));
      } else {
        this.readCall(line);
      }
    }
    return { structs: this.structs, newer: this.newer, calls: this.calls };
  }

  readCall(line) {
    const match = /^(\w+)\((.*?)\)(?:\s*:\s*(.*))?$/.exec(line.text);
    if (!match) this.fail(line, 'not a call');
    const [, name, args, attributes] = match;
    if (this.calls.has(name)) this.fail(line, 'twice');
    this.at++;
    const call = { name, args: this.arguments(line, args), ...this.attributes(line, attributes) };
    this.link(line, call.args);
    call.selector = this.readSelector(line, call);
    this.calls.set(name, call);
  }

  readSelector(parent, rule) {
    const first = this.lines[this.at];
    if (!first || first.indent <= parent.indent) return null;
    const match = /^by (\w+)(?:\s*&\s*(\w+))?$/.exec(first.text);
    if (!match) this.fail(first, 'expected "by ARG"');
    const arg = rule.args.findIndex((candidate) => candidate.name === match[1]);
    if (arg < 0) this.fail(first, 'no such argument');
    this.at++;
    const selector = { arg, mask: match[2] ?? '0xffffffff', cases: [] };
    while (this.at < this.lines.length && this.lines[this.at].indent === first.indent) {
      const line = this.lines[this.at];
      const parts = /^([\w.\s]+?)\s*(?:\((.*?)\))?\s*(?::\s*(.*))?$/.exec(line.text);
      if (!parts) this.fail(line, 'not a case');
      this.at++;
      const args = rule.args.map((arg) => ({ ...arg }));
      for (const replacement of this.arguments(line, parts[2] ?? '')) {
        const index = args.findIndex((arg) => arg.name === replacement.name);
        if (index < 0) this.fail(line, `no argument ${replacement.name}`);
        args[index] = { ...replacement, optional: args[index].optional };
      }
      this.link(line, args);
      const variant = { name: rule.name, args, ...this.attributes(line, parts[3]) };
      variant.selector = this.readSelector(line, variant);
      selector.cases.push({ values: parts[1].split(/\s+/), rule: variant });
    }
    return selector;
  }

  attributes(line, text = '') {
    const result = { place: 'anywhere', words: new Set() };
    for (const word of text.split(/\s+/).filter(Boolean)) {
      if (places.has(word)) result.place = word;
      else if (words.has(word)) result.words.add(word);
      else this.fail(line, `unknown word ${word}`);
    }
    return result;
  }

  arguments(line, text) {
    return text
      .split(/,\s*(?![^[]*\])/)
      .filter(Boolean)
      .map((part) => this.argument(line, part));
  }

  argument(line, text) {
    const match = /^(\w+)(\??):(?:(in|out|inout)\s+)?(\S+)((?:\s+(?:copied|kept|fds|relative))*)$/.exec(text);
    if (!match) this.fail(line, `not an argument (${text})`);
    const [, name, optional, direction, kind, suffixes] = match;
    const arg = { name, optional: optional === '?', direction: direction ?? null, suffixes: suffixes.split(/\s+/) };
    arg.suffixes = new Set(arg.suffixes.filter(Boolean));
    return Object.assign(arg, this.kind(line, kind, arg));
  }

  kind(line, text, arg) {
    const inherent = (kind, more = {}) => {
      if (arg.direction) this.fail(line, `${arg.name}: ${kind} has no direction to choose`);
      return { kind, ...more };
    };
    const directed = (kind, more) => {
      if (!arg.direction) this.fail(line, `${arg.name}: in, out or inout?`);
      return { kind, ...more };
    };
    let match;
    if (values.has(text)) return inherent(text);
    if (text === 'path') return inherent('path', { size: 4096, direction: 'in' });
    if (text === 'length4') return directed('length', { size: 4, copied: true });
    if (text === 'ulength4') return directed('length', { size: 4, copied: true, unsigned: true });
    if (text === 'msghdr') return directed('msghdr', { size: 56, copied: true });
    if (text === 'sigsetpack') return inherent('sigsetpack', { size: 16, direction: 'in', copied: true });
    if (bare.has(text)) return inherent(text);
    if ((match = /^string\[(\d+)\]$/.exec(text)))
      return inherent('string', { size: Number(match[1]), direction: 'in' });
    if ((match = /^\[(\d+)\]$/.exec(text))) return directed('fixed', { size: Number(match[1]) });
    if ((match = /^sigset\[(\w+)\]$/.exec(text)))
      return inherent('sigset', { size: 1, length: match[1], direction: 'in', copied: true });
    if ((match = /^sized\[(\d+),(\d+),(\d+)\]$/.exec(text)))
      return directed('sized', { least: +match[1], extra: +match[2], size: +match[3], copied: true });
    if ((match = /^bits\[(\w+)\]$/.exec(text))) return directed('bits', { size: 8, length: match[1] });
    if ((match = /^pages\[(\w+)\]$/.exec(text))) return directed('pages', { size: 1, length: match[1] });
    if ((match = /^iovec\[(\w+)\]$/.exec(text))) return directed('iovec', { size: 16, length: match[1], copied: true });
    if ((match = /^byte\[\*(\w+)\]$/.exec(text))) return directed('lengthbytes', { size: 1, length: match[1] });
    if ((match = /^(?:\[(\d+)\]|(\w+))\[(?:(\d+)\+)?([a-z]\w*)\]$/.exec(text)))
      return directed('bytes', {
        ...(match[1] ? { size: Number(match[1]) } : match[2] === 'byte' ? { size: 1 } : { struct: match[2] }),
        extra: Number(match[3] ?? 0),
        length: match[4],
      });
    if (/^[a-z]\w*$/.test(text)) return directed('fixed', { struct: text });
    return this.fail(line, `unknown kind ${text}`);
  }

  /** Turns the names of length arguments into indices, and checks which words may stand together. */
  link(line, args) {
    for (const arg of args) {
      if (arg.struct && !this.structs.has(arg.struct)) this.fail(line, `unknown struct ${arg.struct}`);
      if (arg.length === undefined) continue;
      arg.lengthIndex = args.findIndex((other) => other.name === arg.length);
      const other = args[arg.lengthIndex];
      if (!other) this.fail(line, `no argument ${arg.length}`);
      const allowed = { lengthbytes: ['length'], iovec: ['uint'] }[arg.kind] ?? ['long', 'uint', 'int'];
      if (arg.kind === 'lengthbytes') arg.extra = other.unsigned ? 1 : 0;
      if (!allowed.includes(other.kind)) this.fail(line, `${arg.name}: ${arg.length} is no length`);
    }
    if (args.length > 6) this.fail(line, 'more than six arguments');
  }
}

/** Parses the text; throws with the line number where it cannot. */
export function readSignatures(text) {
  const result = new Reader(text).read();
  const check = (rule) => {
    const unchecked = rule.args.some((arg) => arg.kind === 'unchecked');
    if (unchecked && rule.place !== 'unsafe' && rule.place !== 'never') {
      throw new Error(`signatures.txt: ${rule.name}: an unchecked pointer needs unsafe or never`);
    }
    if (rule.args.some((arg) => arg.suffixes.has('kept')) && rule.place !== 'unsafe') {
      throw new Error(`signatures.txt: ${rule.name}: memory that is kept needs unsafe`);
    }
    for (const { rule: variant } of rule.selector?.cases ?? []) check(variant);
  };
  for (const call of result.calls.values()) check(call);
  return result;
}
