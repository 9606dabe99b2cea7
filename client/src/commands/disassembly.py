def disassemble(target, last, table, size):
    import builtins as b
    function = b.getattr(target, '__func__', target)
    code = function
    for name in ('__code__', 'gi_code', 'cr_code', 'ag_code', 'f_code'):
        code = b.getattr(function, name, code)
    if not b.hasattr(code, 'co_code'):
        raise b.TypeError('%s has no bytecode' % b.type(target).__name__)
    rows = {}
    for row in table.split('\n'):
        if row:
            number, name, caches, kind = row.split(' ')
            rows[b.int(number)] = (name, b.int(caches), kind)
    slots = code.co_varnames + b.tuple(n for n in code.co_cellvars if n not in code.co_varnames) + code.co_freevars
    comparisons = ('<', '<=', '==', '!=', '>', '>=')
    binary = ('+', '&', '//', '<<', '@', '*', '%', '|', '**', '>>', '-', '/', '^')
    def pick(names, at):
        return names[at] if 0 <= at < b.len(names) else '?'
    def meaning(kind, arg, after):
        if kind == 'const':
            text = b.repr(pick(code.co_consts, arg))
            return text if b.len(text) <= size else text[:size] + '...'
        if kind[:4] == 'name':
            return pick(code.co_names, arg >> b.int(kind[4:] or 0))
        if kind == 'local':
            return pick(slots, arg)
        if kind == 'local2':
            return '%s, %s' % (pick(slots, arg >> 4), pick(slots, arg & 15))
        if kind == 'ahead':
            return 'to %d' % (after + 2 * arg)
        if kind == 'back':
            return 'to %d' % (after - 2 * arg)
        if kind[:7] == 'compare':
            return pick(comparisons, arg >> b.int(kind[7:]))
        if kind == 'binary':
            return pick(binary, arg % 13) + ('=' if arg >= 13 else '')
        return ''
    lines = {}
    for start, end, line in code.co_lines():
        for at in b.range(start, end, 2):
            lines[at] = line
    body = code.co_code
    text = ['%s, %s:%d' % (code.co_qualname, code.co_filename, code.co_firstlineno)]
    at, extended, shown = 0, 0, None
    while at < b.len(body):
        name, caches, kind = rows.get(body[at], ('<%d>' % body[at], 0, '-'))
        arg = extended << 8 | body[at + 1]
        extended = arg if name == 'EXTENDED_ARG' else 0
        after = at + 2 + 2 * caches
        said = meaning(kind, arg, after)
        line = lines.get(at)
        text.append('%5s %s %4d %-28s%s%s' % (
            line if line != shown and line is not None else '', '=>' if at <= last < after else '  ', at, name,
            '' if kind == 'none' else ' %d' % arg, ' (%s)' % said if said else ''))
        text[-1] = text[-1].rstrip()
        shown, at = line, after
    return b.type('verbatim', (b.str,), {'__repr__': b.str.__str__})('\n'.join(text))
