brackets = {list: '[]', tuple: '()', set: '{}', frozenset: '{}', dict: '{}'}


def verbatim(text):
    return type('verbatim', (str,), {'__repr__': str.__str__})(text)


def full_name(t):
    return t.__qualname__ if t.__module__ == 'builtins' else f'{t.__module__}.{t.__qualname__}'


def safe(v):
    try:
        return repr(v)
    except BaseException as e:
        return f'<{type(e).__name__} in repr>'


def cut(text, size):
    return text if len(text) <= size else text[:max(size - 3, 0)] + '...'


def whatis(v, depth, elements, size):
    name = full_name(type(v))
    if isinstance(v, type):
        bases = [full_name(t) for t in v.__mro__[1:-1]]
        name += ' ' + full_name(v) + (', derived from ' + ', '.join(bases) if bases else '')
    try:
        name += f', length {len(v)}'
    except BaseException:
        pass
    return verbatim(name)


def lines(v, depth, elements, size, before, outer):
    width = 80
    w = brackets.get(type(v))
    if w is None or not v:
        return safe(v)
    if depth == 0 or any(v is o for o in outer):
        return w[0] + '...' + w[1]
    outer.append(v)
    parts = []
    for k in v:
        if len(parts) == elements:
            parts.append(f'... {len(v) - elements} more')
            break
        if type(v) is dict:
            key = safe(k) + ': '
            parts.append(key + lines(v[k], depth - 1, elements, size, before + 4, outer))
        else:
            parts.append(lines(k, depth - 1, elements, size, before + 4, outer))
    outer.pop()
    comma = ',' if type(v) is tuple and len(v) == 1 else ''
    one = w[0] + ', '.join(parts) + comma + w[1]
    if before + len(one) > width or any('\n' in p for p in parts):
        pad = ' ' * (before + 4)
        one = w[0] + '\n' + ''.join(pad + p + ',\n' for p in parts) + ' ' * before + w[1]
    return f'frozenset({one})' if type(v) is frozenset else one


def pp(v, depth, elements, size):
    return verbatim(lines(v, depth, elements, size, 0, []))


def inspect(v, depth, elements, size):
    rows = [str(whatis(v, depth, elements, size))]
    found = {}
    own = getattr(v, '__dict__', None)
    if isinstance(own, dict) or type(own).__name__ == 'mappingproxy':
        found.update(own)
    for t in type(v).__mro__:
        slots = t.__dict__.get('__slots__', ())
        for name in (slots,) if isinstance(slots, str) else slots:
            name = f'_{t.__name__.lstrip("_")}{name}' if name.startswith('__') and not name.endswith('__') else name
            if name not in found and name not in ('__dict__', '__weakref__') and hasattr(v, name):
                found[name] = getattr(v, name)
    shown = [n for n in found if not (isinstance(v, type) and n.startswith('__'))]
    for name in shown[:elements]:
        rows.append(f'  {name} = {cut(safe(found[name]), size)}')
    if len(shown) > elements:
        rows.append(f'  ... {len(shown) - elements} more')
    kinds = {'properties': [], 'methods': [], 'class attributes': []}
    seen = set(found)
    for t in type(v).__mro__:
        if t is object:
            continue
        for name, value in t.__dict__.items():
            if name in seen or name.startswith('__') and name.endswith('__'):
                continue
            seen.add(name)
            if type(value).__name__ in ('member_descriptor', 'getset_descriptor'):
                kinds['properties'].append(name) if type(value).__name__[0] == 'g' else None
            elif isinstance(value, property):
                kinds['properties'].append(name)
            elif callable(value) or isinstance(value, (staticmethod, classmethod)):
                kinds['methods'].append(name)
            else:
                kinds['class attributes'].append(f'{name} = {cut(safe(value), size)}')
    for kind, names in kinds.items():
        if names:
            more = f', ... {len(names) - elements} more' if len(names) > elements else ''
            rows.append(f'{kind}: ' + ', '.join(sorted(names)[:elements]) + more)
    return verbatim('\n'.join(rows))
