# SPDX-License-Identifier: MIT
# What the rows of Tests/Conformance/arguments*.c lack: awk -f arguments.awk HEADERS ROWS..., where
# HEADERS is what the compiler makes of the headers. Each parameter of each function has a row, a
# pointer one with NULL, a flag one that is refused; of a struct with a size that is wrong, and where it
# is read each field `flags` and `reserved`.

FNR == 1 { files++ }
{ sub(/^[ \t]+/, ""); text[files > 1] = text[files > 1] " " $0 }

# The words of a list, without spaces around them.
function words(list, into,   count, i) {
	count = split(list, into, ",")
	for (i = 1; i <= count; i++) gsub(/^ +| +$/, "", into[i])
	return count
}

# A typedef of a struct that begins with its size: its fields of these names.
function structure(body, name,   count, i, lines) {
	if (body !~ /^ *uint32_t size;/) return
	sized[name] = 1
	count = split(body, lines, ";")
	for (i = 1; i <= count; i++)
		if (match(lines[i], /^ *uint32_t (flags|reserved)$/))
			fields[name] = fields[name] " " substr(lines[i], match(lines[i], /flags|reserved/))
}

function declaration(name, list,   count, i, all) {
	parameters[name] = count = list == "void" ? 0 : words(list, all)
	functions[++function_count] = name
	for (i = 1; i <= count; i++) {
		match(all[i], /[a-z_0-9]+$/)
		parameter[name, i] = substr(all[i], RSTART)
		place[name, substr(all[i], RSTART)] = i
		type[name, i] = substr(all[i], 1, RSTART - 1)
		gsub(/ +$/, "", type[name, i])
	}
}

function row(kind, list,   count, all, skipped, key, i) {
	count = words(list, all)
	key = all[1] SUBSEP all[2]
	rows[key] = 1
	if (kind == "WRONG") refused[key] = 1
	if (kind == "SIZED") sizes[key] = 1
	if (kind == "FIELD") field_rows[key, all[3]] = 1
	skipped = kind == "WRONG" ? 3 : kind == "SIZED" ? 4 : kind == "FIELD" ? 6 : 2
	i = skipped + place[key]
	if (place[key] && all[i] == "NULL") nulls[key] = 1
}

function check(name, i,   key, kind, count, list, j) {
	key = name SUBSEP parameter[name, i]
	if (!(key in rows)) { lacks(name, i, "a row"); return }
	if (type[name, i] ~ /\*$/ && !(key in nulls)) lacks(name, i, "a row with NULL")
	if (parameter[name, i] == "flags" && !(key in refused)) lacks(name, i, "a flag that is refused")
	kind = type[name, i]
	if (kind !~ /\*$/) return
	gsub(/^const | *\*$/, "", kind)
	if (!(kind in sized)) return
	if (!(key in sizes)) lacks(name, i, "wrong sizes")
	# What is not constant is filled, but for this, which is read and filled.
	if (type[name, i] !~ /^const / && kind != "vsmmu_device") return
	count = split(fields[kind], list, " ")
	for (j = 1; j <= count; j++)
		if (!((key, list[j]) in field_rows)) lacks(name, i, "a wrong field " list[j])
}

function lacks(name, i, what) { print name ": " parameter[name, i] " lacks " what }

# All that matches `pattern`, with what stands in its first and in its last parentheses or braces.
END {
	rest = text[0]
	while (match(rest, /typedef struct [a-z_]+ \{[^}]*\} [a-z_]+;/)) {
		one = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		name = one
		sub(/.*\} /, "", name)
		sub(/;/, "", name)
		gsub(/^[^{]*\{|\}[^}]*$/, "", one)
		structure(one, name)
	}
	rest = text[0]
	gsub(/typedef struct [a-z_]+ \{[^}]*\} [a-z_]+;/, "", rest)
	while (match(rest, /vsmmu_[a-z_0-9]+\([^()]*\);/)) {
		one = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		name = one
		sub(/\(.*/, "", name)
		gsub(/^[^(]*\(|\);$/, "", one)
		declaration(name, one)
	}
	rest = text[1]
	while (match(rest, /(WRONG|NOBODY|RIGHT|HARMLESS|SIZED|FIELD)\([^;]*\);/)) {
		one = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		kind = one
		sub(/\(.*/, "", kind)
		gsub(/^[^(]*\(|\);$/, "", one)
		row(kind, one)
	}
	for (f = 1; f <= function_count; f++)
		for (i = 1; i <= parameters[functions[f]]; i++) check(functions[f], i)
}
