"""Which functions of a statement only read."""

from __future__ import annotations

import re

# PostgreSQL's own that change no table. Anything else may do whatever it likes.
_READING = frozenset(
    """
    abbrev abs acos age any_value area array_agg array_append array_cat array_dims array_fill array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove array_replace array_reverse
    array_sample array_shuffle array_sort array_to_json array_to_string array_to_tsvector array_upper ascii asin
    atan atan2 avg bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or box bpchar broadcast btrim
    cardinality cbrt ceil ceiling center char_length chr circle clock_timestamp col_description concat concat_ws
    convert convert_from convert_to corr cos count covar_pop covar_samp crc32 crc32c cume_dist current_database
    current_query current_schema current_schemas current_setting current_user currval date date_add date_bin
    date_part date_subtract date_trunc decode degrees dense_rank diameter digest div encode enum_first enum_last
    enum_range every exists exp extract factorial family first_value float4 float8 floor format format_type gcd
    gen_random_uuid generate_series generate_subscripts get_bit get_byte get_current_ts_config greatest grouping
    has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege
    has_function_privilege has_language_privilege has_largeobject_privilege has_parameter_privilege
    has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
    has_type_privilege height host hostmask hstore inet_client_addr inet_client_port inet_merge inet_same_family
    inet_server_addr inet_server_port initcap int2 int4 int8 interval is_normalized isempty isfinite json_agg
    json_agg_strict json_array_element json_array_element_text json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_agg json_object_agg_strict json_object_agg_unique
    json_object_agg_unique_strict json_object_field json_object_field_text json_object_keys json_populate_record
    json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_to_tsvector json_typeof jsonb_agg
    jsonb_agg_strict jsonb_array_element jsonb_array_element_text jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contained jsonb_contains jsonb_delete
    jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_agg_strict
    jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_object_field jsonb_object_field_text
    jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
    jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz
    jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset jsonb_pretty
    jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof
    justify_days justify_hours justify_interval lag last_value lastval lcm lead least left length line ln log lower
    lower_inc lower_inf lpad lseg ltrim macaddr8_set7bit make_date make_interval make_time make_timestamp
    make_timestamptz masklen max md5 min min_scale mod mode multirange netmask network nextval normalize now
    nth_value ntile num_nonnulls num_nulls numeric numnode obj_description octet_length overlaps overlay parse_ident
    path percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery point polygon position
    power querytree quote_ident quote_literal quote_nullable radians radius random random_normal range_agg
    range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round row_number row_security_active
    row_to_json rpad rtrim scale session_user set_bit set_byte set_masklen setseed setval setweight sha224 sha256
    sha384 sha512 shobj_description sign sin split_part sqrt starts_with statement_timestamp stddev stddev_pop
    stddev_samp string_agg string_to_array string_to_table strip strpos substr substring sum system_user tan text
    time timeofday timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb
    to_number to_oct to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc
    to_regprocedure to_regrole to_regtype to_regtypemod to_timestamp to_tsquery to_tsvector transaction_timestamp
    translate trim trim_scale trunc ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd
    ts_rewrite ts_token_type tsvector_to_array txid_current txid_current_if_assigned txid_current_snapshot
    txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot unistr unnest upper
    upper_inc upper_inf uuid_extract_timestamp uuid_in uuid_extract_version uuidv4 uuidv7 var_pop var_samp varchar variance
    version websearch_to_tsquery width width_bucket xml_is_well_formed xml_is_well_formed_content
    xml_is_well_formed_document xmlagg xmlcomment xmlexists xmltext xmlvalidate xpath xpath_exists
    """.split()  # noqa: SIM905 a list of them fills hundreds of lines
)
# The same of its catalogue, and of extensions that many have: pgcrypto, uuid-ossp, hstore, pg_trgm, unaccent, PostGIS.
_OF_THE_CATALOGUE = re.compile(
    r"pg_((try_)?advisory_\w+|get_\w+|stat_get_\w+|\w+_size|size_\w+|\w+_is_visible|sleep\w*|typeof|partition_\w+|backend_pid"
    r"|blocking_pids|trigger_depth|current_\w+|is_in_recovery|describe_object|identify_object\w*|postmaster_start_time"
    r"|index_\w+|sequence_\w+|has_role|my_temp_schema|encoding_to_char|char_to_encoding|notify|client_encoding"
    r"|collation_for|input_\w+|relation_\w+|tablespace_\w+|timezone_\w+|terminate_backend|cancel_backend|options_to_table)"
)
_OF_EXTENSIONS = re.compile(
    r"uuid_(generate|ns|nil)_?\w*|gen_salt|gen_random_\w+|crypt|digest|hmac|encrypt|decrypt|hstore(_to_\w+)?|(word_|strict_word_)?similarity"
    r"|show_trgm|unaccent|akeys|avals|skeys|svals|st_[a-z0-9]+"
)


def acts(function: str) -> bool:
    """Whether a function, with its schema if one is written, may be called for what it does, and not for what it yields."""
    schema, _, name = function.lower().rpartition(".")
    if _OF_EXTENSIONS.fullmatch(name):
        return False
    # set_config may set the search_path, after which names mean other tables; so it is not among them.
    return schema not in ("", "pg_catalog") or not (name in _READING or _OF_THE_CATALOGUE.fullmatch(name))
