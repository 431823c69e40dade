/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The targets of a request's outputs, checked before an input, interface or output is opened:
 * refuses targets that cannot be written, that are inputs, or that two rules share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/setup/setup.h"

int cw_claims_init(struct cw_claims *claims, const struct cw_run *run, const struct cw_rules *rules)
{
	uint32_t count = run->options.input_count;

	*claims = (struct cw_claims){.run = run, .rules = rules};
	claims->inputs = calloc(count + 1u, sizeof(*claims->inputs));
	if (!claims->inputs)
		return -ENOMEM;
	for (uint32_t index = 0; index < count; index++) {
		const char *path = run->options.inputs[index];
		struct stat *input = &claims->inputs[claims->input_count];
		int failure = strcmp(path, "-") ? stat(path, input) : fstat(STDIN_FILENO, input);

		claims->input_count += failure == 0; /* opening it reports the failure */
	}
	return 0;
}

void cw_claims_fini(struct cw_claims *claims)
{
	cw_names_fini(&claims->names);
	free(claims->inputs);
	*claims = (struct cw_claims){0};
}

/* Sockets and terminals may be input and output at once. */
static bool is_an_input(const struct cw_claims *claims, const struct cw_target *target)
{
	const struct stat *status = &target->status;

	if (!S_ISREG(status->st_mode) && !S_ISFIFO(status->st_mode))
		return false;
	for (uint32_t index = 0; index < claims->input_count; index++) {
		if (cw_target_is_same(&claims->inputs[index], status))
			return true;
	}
	return false;
}

static bool is_stream(const struct cw_target *target)
{
	return target->kind == CW_TARGET_STREAM || target->kind == CW_TARGET_SINK ||
	       target->kind == CW_TARGET_DESCRIPTOR;
}

/* Refuses what needs a file that ends and gets a name, if the target is a stream. */
static int check_stream(const struct cw_claims *claims, const struct cw_rule *rule,
			const char *path, const struct cw_target *target, struct cw_error *error)
{
	const char *setting = cw_rule_file_setting(claims->rules, rule);

	if (!setting || !is_stream(target))
		return 0;
	return cw_error_set(error, -EINVAL, "%s needs a file, and %s is %s: %s", setting, path,
			    cw_target_describe(target), CW_RULE_FILE_CURE);
}

static int check_new(const struct cw_claims *claims, const char *path,
		     const struct cw_target *target, struct cw_error *error)
{
	int result = cw_target_check(target, claims->run->options.output.owner, path, error);

	if (result < 0)
		return result;
	if (target->kind != CW_TARGET_MISSING && is_an_input(claims, target))
		return target->kind == CW_TARGET_DESCRIPTOR
			   ? cw_error_set(error, -EINVAL, "%s is redirected to one of the inputs",
					  cw_target_describe(target))
			   : cw_error_set(error, -EINVAL, "output %s is one of the inputs", path);
	if (target->kind == CW_TARGET_FILE && claims->run->options.output.no_clobber)
		return cw_error_set(error, -EINVAL, "output %s exists already (--no-clobber)",
				    path);
	return 0;
}

/* Claims the object, so that two names of one object collide; a missing file by its folder. */
static int claim(struct cw_claims *claims, const char *path, const struct cw_target *target,
		 struct cw_error *error)
{
	const bool is_missing = target->kind == CW_TARGET_MISSING;
	const struct stat *status = is_missing ? &target->folder_status : &target->status;
	char *wanted, *claimed;
	bool is_taken;

	if (cw_target_is_null_device(status))
		return 0;
	if (asprintf(&wanted, "%llx:%llx/%s", (unsigned long long)status->st_dev,
		     (unsigned long long)status->st_ino, is_missing ? target->base : "") < 0)
		return cw_error_set(error, -ENOMEM, "no memory");
	claimed = cw_names_claim(&claims->names, wanted);
	is_taken = claimed && strcmp(claimed, wanted) != 0;
	free(wanted);
	if (!claimed)
		return cw_error_set(error, -ENOMEM, "no memory");
	free(claimed);
	return is_taken
		   ? cw_error_set(error, -EINVAL,
				  "another rule writes %s too; give each rule its own file", path)
		   : 0;
}

/*
 * Checks the plain name of a numbered output, which none of its files gets. A stream or a folder
 * there is what the user means, so it is refused. The name is claimed in the folder that it says:
 * a link is not followed, as for the numbered names.
 */
static int check_numbered(struct cw_claims *claims, const struct cw_rule *rule, const char *path,
			  struct cw_target_query *query, bool is_new, struct cw_error *error)
{
	struct cw_target target;
	int result = 0;

	if (cw_target_find(&target, path, query, NULL) == 0) {
		if (is_new && (target.kind == CW_TARGET_FOLDER || target.kind == CW_TARGET_SOCKET))
			result = cw_target_check(&target, query->owner, path, error);
		if (result == 0)
			result = check_stream(claims, rule, path, &target, error);
		cw_target_fini(&target);
	}
	if (result < 0)
		return result;
	query->is_later = true;
	result = cw_target_find(&target, path, query, error);
	if (result < 0)
		return is_new ? result : 0; /* opening the next file will report this */
	target.kind = CW_TARGET_MISSING;
	result = claim(claims, path, &target, error);
	cw_target_fini(&target);
	return result;
}

static int check_target(struct cw_claims *claims, const struct cw_rule *rule,
			const struct cw_template *name, const char *path, bool is_new,
			struct cw_error *error)
{
	struct cw_target_query query = {.standard_output =
					    claims->run->options.output.standard_output,
					.owner = claims->run->options.output.owner,
					.folders = CW_TARGET_FOLDERS_MAY_MISS,
					.fixed_bytes = cw_template_fixed_folder(name)};
	struct cw_target target;
	struct stat ours;
	int result;

	if (cw_rule_is_numbered(rule, name))
		return check_numbered(claims, rule, path, &query, is_new, error);
	result = cw_target_find(&target, path, &query, error);
	if (result < 0)
		return is_new ? result : 0; /* the output is open, or opening it will report this */
	result = is_new ? check_new(claims, path, &target, error) : 0;
	if (result == 0)
		result = check_stream(claims, rule, path, &target, error);
	if (result == 0)
		result = claim(claims, path, &target, error);
	claims->is_stream = is_stream(&target);
	claims->is_stdout = target.kind == CW_TARGET_DESCRIPTOR &&
			    fstat(query.standard_output, &ours) == 0 &&
			    cw_target_is_same(&target.status, &ours);
	cw_target_fini(&target);
	return result;
}

/* Checks that the part of the folder's name that does not depend on packets exists. */
static int check_folder(const struct cw_claims *claims, const struct cw_template *name, char *path,
			struct cw_error *error)
{
	const struct cw_target_query query = {.standard_output = -1,
					      .owner = claims->run->options.output.owner};
	struct cw_target target;
	int result;

	strcpy(path + cw_template_fixed_folder(name), ".");
	result = cw_target_find(&target, path, &query, error);
	if (result == 0)
		cw_target_fini(&target);
	return result;
}

int cw_setup_target(struct cw_claims *claims, const struct cw_rule *rule,
		    const struct cw_template *name, bool is_new, struct cw_error *error)
{
	const struct cw_template_values values = {.rule = rule->name};
	const bool is_fixed = !name->has_kind[CW_PART_TIME] && !name->has_kind[CW_PART_IFACE];
	char path[CW_TEMPLATE_PATH_BYTES];
	char where[512];
	int result;

	claims->is_stream = claims->is_stdout = false;
	/* Other names are known only while writing, when it is too late to refuse. */
	if (is_new && claims->run->options.output.no_clobber &&
	    (!is_fixed || cw_rule_rotates(rule)))
		result = cw_error_set(error, -EINVAL,
				      "--no-clobber needs a fixed name without rotation");
	else if (cw_template_expand(name, &values, path) < 0)
		result = cw_error_set(error, -EINVAL, "the output name is too long");
	else if (is_fixed)
		result = check_target(claims, rule, name, path, is_new, error);
	else
		result = is_new ? check_folder(claims, name, path, error) : 0;
	if (result == 0)
		return 0;
	cw_rule_describe(claims->rules, rule, rule->line, where, sizeof(where));
	cw_error_prefix(error, "%s", where);
	if (result != -ENOMEM && result != -EMFILE && result != -ENFILE)
		error->code = -EINVAL; /* the request is wrong, not the moment */
	return error->code;
}

int cw_setup_targets(struct cw_outputs *outputs, struct cw_error *error)
{
	const struct cw_rules *rules = outputs->run->options.rules;
	struct cw_claims claims;
	int result = 0;

	outputs->are_streams = calloc(rules->count, sizeof(*outputs->are_streams));
	if (!outputs->are_streams || cw_claims_init(&claims, outputs->run, rules) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for %u outputs", rules->count);
	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		const struct cw_rule *rule = &rules->rules[index];
		struct cw_template *name;

		if (cw_template_parse(&name, rule->write, outputs->run->options.output.directory,
				      NULL) < 0)
			continue; /* cw_setup_output reports it */
		result = cw_setup_target(&claims, rule, name, true, error);
		outputs->are_streams[index] = claims.is_stream;
		outputs->has_used_stdout |= claims.is_stdout;
		cw_template_free(name);
	}
	cw_claims_fini(&claims);
	return result;
}
