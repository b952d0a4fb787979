# SPDX-License-Identifier: MIT
# Prints what apt's own source files offer, one line per suite: URI <tab> SUITE <tab> COMPONENTS <tab> SIGNED-BY.
# Reads both formats: FILE.list (one line a source) and FILE.sources (deb822). Binary packages only.
# SIGNED-BY is empty, a path or fingerprint, or an embedded key whose lines are joined by "\n".

function emit(uris, suites, components, key,    u, s, i, j, nu, ns) {
    nu = split(uris, u, " ")
    ns = split(suites, s, " ")
    for (i = 1; i <= nu; i++)
        for (j = 1; j <= ns; j++)
            printf "%s\t%s\t%s\t%s\n", u[i], s[j], components, key
}

function end_stanza() {
    if (field["types"] ~ /(^| )deb( |$)/ && tolower(field["enabled"]) != "no")
        emit(field["uris"], field["suites"], field["components"], field["signed-by"])
    delete field
    name = ""
}

function one_line(    options, key, rest, uri, suite) {
    rest = $0
    sub(/#.*/, "", rest)
    if (rest !~ /^[ \t]*deb[ \t]/) return
    sub(/^[ \t]*deb[ \t]+/, "", rest)
    key = ""
    if (match(rest, /^\[[^]]*\]/)) {
        options = substr(rest, 2, RLENGTH - 2)
        rest = substr(rest, RLENGTH + 1)
        if (match(options, /signed-by=[^ \t]+/)) key = substr(options, RSTART + 10, RLENGTH - 10)
    }
    gsub(/[ \t]+/, " ", rest)
    gsub(/^ | $/, "", rest)
    uri = rest; sub(/ .*/, "", uri)
    sub(/^[^ ]* /, "", rest)
    suite = rest; sub(/ .*/, "", suite)
    sub(/^[^ ]* ?/, "", rest)
    emit(uri, suite, rest, key)
}

FNR == 1 { end_stanza() }
FILENAME ~ /\.list$/ { one_line(); next }
/^#/ { next }
/^[ \t]*$/ { end_stanza(); next }
/^[ \t]/ {
    if (name == "signed-by") field[name] = field[name] "\\n" $0
    else { gsub(/^[ \t]+/, ""); field[name] = field[name] " " $0 }
    next
}
{
    name = tolower($0); sub(/:.*/, "", name)
    value = $0; sub(/^[^:]*:[ \t]*/, "", value); sub(/[ \t]+$/, "", value)
    gsub(/[ \t]+/, " ", value)
    field[name] = value
}
END { end_stanza() }
