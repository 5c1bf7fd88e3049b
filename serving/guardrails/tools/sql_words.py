"""Words of SQL: those that change something, and those that may stand before a bracket."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Also those that begin a statement without a semicolon before it, as in Transact-SQL.
CHANGES = _words(
    """
    insert update delete merge upsert into copy create alter drop truncate rename grant revoke deny
    call exec execute perform do set declare begin commit rollback savepoint lock unlock kill
    shutdown reconfigure dbcc backup restore bulk waitfor use attach detach vacuum reindex pragma
    prepare deallocate load dump disk checkpoint revert setuser raiserror throw writetext updatetext
    readtext goto while handler outfile dumpfile nextval setval tablockx xlock updlock holdlock
    openrowset openquery opendatasource openxml xp_cmdshell
    """
)

# Locks of rows, and a number that is taken from a sequence.
PAIRS = frozenset({("for", "share"), ("for", "key"), ("for", "no"), ("next", "value")})

BEFORE_BRACKET = _words(
    """
    select distinct all from where and or not in exists any some on using join lateral as over
    partition by order group having union except intersect minus values with when then else case
    between like ilike is limit offset top filter within grouping sets cube rollup materialized
    array row interval apply unique end asc desc fetch first next percent pivot unpivot of
    """
)

# They compute from what they are given: none writes, waits, reads a file or reaches a network.
FUNCTIONS = _words(
    """
    count sum avg min max total median mode stddev stddev_pop stddev_samp variance var_pop var_samp
    corr covar_pop covar_samp regr_slope regr_intercept string_agg group_concat listagg array_agg
    json_agg jsonb_agg json_object_agg bool_and bool_or every bit_and bit_or any_value
    approx_count_distinct percentile_cont percentile_disc checksum_agg
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value
    abs ceil ceiling floor round trunc sign mod power pow sqrt cbrt exp ln log log10 log2 pi sin cos
    tan asin acos atan atan2 degrees radians greatest least div random
    coalesce nullif ifnull nvl nvl2 isnull iif if decode cast try_cast convert try_convert typeof
    lower upper initcap trim ltrim rtrim btrim length len char_length character_length octet_length
    datalength substring substr left right replace translate reverse concat concat_ws position instr
    locate charindex strpos split_part lpad rpad ascii chr char unicode quote_literal soundex
    regexp_like regexp_replace regexp_substr regexp_matches regexp_match md5 format to_char
    to_number to_date to_timestamp parse_date str_to_date date_format strftime
    date time datetime timestamp julianday unixepoch now current_date current_time current_timestamp
    localtime localtimestamp getdate sysdate curdate curtime date_trunc date_part date_add date_sub
    dateadd datediff datename datepart date_diff timestampdiff timestampadd extract year quarter
    month week day dayofweek dayofmonth dayofyear weekday hour minute second last_day add_months
    months_between age make_date make_time make_timestamp from_unixtime unix_timestamp eomonth
    generate_series unnest array_length cardinality array_position array_to_string string_to_array
    json_extract json_value json_query json_array json_object json_array_length json_extract_path
    json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_each json_each_text
    jsonb_each jsonb_array_elements json_array_elements to_json to_jsonb row_to_json
    json_build_object jsonb_build_object
    char varchar nvarchar nchar character text decimal numeric float double precision int integer
    bigint smallint bit varying number
    """
)
